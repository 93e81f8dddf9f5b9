"""How long a notice takes to reach hundreds of millions, and what that takes: a simulation from measured costs.

`python -m bench.public_reach` prints the tables of docs/public-reach.md; with `--write` they are put there. The costs
are those of bench/public_costs.json, which `python -m bench.public_costs` measures. Time goes in steps of a minute;
users are numbers of people in a time zone who come equally often, so that 600 million take a second.
"""

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bench.paths import ROOT
from bench.public_costs import Costs, costs

STEP = 60
HOUR = 3_600
DAY = 24 * HOUR
LIMIT_DAYS = 60
DOCUMENT = ROOT / "docs/public-reach.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"


@dataclass(frozen=True, slots=True)
class Habit:
    """Users who open the app equally often."""

    share: float
    sessions_a_day: float


@dataclass(frozen=True, slots=True)
class Population:
    """Who comes when. Its defaults are assumptions; `curve` weighs the hours of the local day."""

    users: float = 600e6
    habits: tuple[Habit, ...] = (Habit(0.40, 5.0), Habit(0.35, 0.6), Habit(0.25, 0.08))
    session_seconds: float = 600
    zones: tuple[tuple[int, float], ...] = ((-5, 0.15), (1, 0.25), (5, 0.30), (8, 0.30))
    curve: tuple[float, ...] = (
        *(0.5, 0.3, 0.2, 0.15, 0.15, 0.25),
        *(0.5, 0.8, 1.0, 1.0, 1.0, 1.1),
        *(1.3, 1.2, 1.1, 1.1, 1.2, 1.3),
        *(1.5, 1.8, 2.0, 2.0, 1.5, 1.05),
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """How far a release may disturb. Hours are those of UTC at the start, and of the user's day for `quiet`.

    rate: users a second that all gateways together touch. capped: share of users whose cap of the first day is used up.
    """

    rate: float
    start_hour: float = 8
    quiet: tuple[int, int] | None = (22, 8)
    capped: float = 0.1


@dataclass(slots=True)
class Group:
    """Users of one zone and habit: those not touched yet, by whether they are online and wait for their turn."""

    zone: int
    habit: Habit
    capped: bool
    away: float
    waiting: float = 0.0


@dataclass(frozen=True, slots=True)
class Minute:
    """One step: seconds since the release, users reached by then, and what happened in a second of it."""

    at: float
    reached: float
    touches: float
    sessions: float
    online: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """What carries a load. A cell is an installation of its own, with its share of users; publishes go to each."""

    cells: int
    gateways: int
    workers: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How far processes are loaded. A gateway process holds as many connections as were measured."""

    connections: int = 15_000
    core: float = 0.6
    gateways_per_cell: int = 400
    replication: int = 3


@dataclass(frozen=True, slots=True)
class Scenario:
    """A release to be planned."""

    name: str
    goal: float
    rules: Rules
    population: Population = field(default_factory=Population)


def weight(population: Population, zone: int, seconds: float) -> float:
    """How busy the hour is in a zone, 1 on average; `seconds` since midnight UTC."""
    curve = population.curve
    hour = (seconds / HOUR + zone) % 24
    now, after = curve[int(hour)], curve[(int(hour) + 1) % 24]
    return (now + (after - now) * (hour % 1)) * len(curve) / sum(curve)


def is_quiet(rules: Rules, zone: int, seconds: float) -> bool:
    """Whether nobody of a zone is shown anything at this time."""
    if rules.quiet is None:
        return False
    hour = (seconds / HOUR + zone) % 24
    start, end = rules.quiet
    return start <= hour < end if start <= end else hour >= start or hour < end


def groups(population: Population, rules: Rules) -> list[Group]:
    """All users, none of them touched, those online at the start waiting."""
    made = []
    for zone, share in population.zones:
        for habit in population.habits:
            for capped, part in ((False, 1 - rules.capped), (True, rules.capped)):
                users = population.users * share * habit.share * part
                group = Group(zone, habit, capped, users)
                come(group, online(population, group, rules.start_hour * HOUR))
                made.append(group)
    return made


def sessions(population: Population, group: Group, seconds: float) -> float:
    """Sessions that one user of a group begins in a second."""
    return group.habit.sessions_a_day / DAY * weight(population, group.zone, seconds)


def online(population: Population, group: Group, seconds: float) -> float:
    """The share of a group that is online."""
    return 1 - math.exp(-sessions(population, group, seconds) * population.session_seconds)


def come(group: Group, share: float) -> None:
    """A share of those who are away comes online, and waits to be touched."""
    coming = group.away * share
    group.away -= coming
    group.waiting += coming


def leave(group: Group, share: float) -> None:
    """A share of those who wait goes offline untouched."""
    going = group.waiting * share
    group.waiting -= going
    group.away += going


def simulate(population: Population, rules: Rules, goal: float) -> list[Minute]:
    """Minute by minute until the goal is reached, or LIMIT_DAYS have passed."""
    some = groups(population, rules)
    minutes: list[Minute] = []
    reached = 0.0
    for number in range(LIMIT_DAYS * DAY // STEP):
        elapsed = number * STEP
        now = rules.start_hour * HOUR + elapsed
        ready = [one for one in some if may_touch(rules, one, elapsed, now)]
        touched = touch(ready, rules.rate * STEP)
        reached += touched
        minutes.append(minute(population, rules, elapsed + STEP, now, reached, touched))
        if reached >= goal:
            break
        for one in some:
            leave(one, 1 - math.exp(-STEP / population.session_seconds))
            come(one, 1 - math.exp(-sessions(population, one, now) * STEP))
    return minutes


def may_touch(rules: Rules, group: Group, elapsed: float, now: float) -> bool:
    """Whether users of a group may be shown something: not in quiet hours, nor on a day whose cap is used up."""
    first_day_left = DAY - (rules.start_hour + group.zone) * HOUR % DAY
    return not is_quiet(rules, group.zone, now) and not (group.capped and elapsed < first_day_left)


def touch(ready: Iterable[Group], room: float) -> float:
    """Touch those who wait, all groups alike, up to `room`; how many were."""
    some = list(ready)
    waiting = sum(one.waiting for one in some)
    share = min(1.0, room / waiting) if waiting else 0.0
    for one in some:
        one.waiting -= one.waiting * share
    return waiting * share


def minute(
    population: Population, rules: Rules, at: float, now: float, reached: float, touched: float
) -> Minute:
    load = [
        (users, sessions(population, group, now), online(population, group, now))
        for group, users in everybody(population)
    ]
    return Minute(
        at,
        reached,
        touched / STEP,
        sum(users * rate for users, rate, _ in load),
        sum(users * share for users, _, share in load),
    )


def everybody(population: Population) -> Iterable[tuple[Group, float]]:
    """All groups with their sizes, whatever was shown to them."""
    for zone, share in population.zones:
        for habit in population.habits:
            users = population.users * share * habit.share
            yield Group(zone, habit, False, users), users


def size(minutes: list[Minute], cost: Costs, limits: Limits) -> Fleet:
    """The smallest fleet that carries the busiest minute.

    Each gateway reads every touch of its cell, so more gateways do not help beyond a point: then the users are
    divided among more cells.
    """
    cells = 1
    while (gateways := gateways_of_cell(minutes, cells, cost, limits)) > limits.gateways_per_cell:
        cells += 1
    busiest = max(
        one.touches * cost.worker_online_touch + one.sessions * cost.worker_session
        for one in minutes
    )
    workers = math.ceil(busiest / cells / limits.core)
    return Fleet(cells, cells * gateways, cells * workers, 2 ** math.ceil(math.log2(workers)))


def gateways_of_cell(minutes: list[Minute], cells: int, cost: Costs, limits: Limits) -> float:
    """Gateways that each cell needs in its busiest minute; infinite where reading the log takes all of a core."""
    return max(gateways_of_minute(one, cells, cost, limits) for one in minutes)


def gateways_of_minute(one: Minute, cells: int, cost: Costs, limits: Limits) -> float:
    own = one.touches * cost.gateway_touch + one.sessions * cost.gateway_session
    free = limits.core - one.touches / cells * cost.row_passed
    if free <= 0:
        return math.inf
    return math.ceil(max(own / cells / free, one.online / cells / limits.connections))


def kafka_bytes(users: float, cost: Costs, limits: Limits) -> float:
    """What brokers store for the touches of a release: commands, rows and replies, with all replicas."""
    touch = cost.touch_command_bytes + cost.touch_row_bytes + cost.touch_reply_bytes
    return users * touch * limits.replication


def bytes_read(minutes: list[Minute], fleet: Fleet, cost: Costs) -> float:
    """What the gateways of a cell read of its user log in the busiest second: each of them all of it."""
    touches = max(one.touches for one in minutes) / fleet.cells
    return touches * cost.touch_row_bytes * fleet.gateways / fleet.cells


def scenarios() -> list[Scenario]:
    """What docs/public-reach.md shows."""
    usual = Rules(rate=10_000)
    people = Population()
    evening = Rules(rate=100_000, start_hour=13, quiet=None, capped=0)
    rush = replace(people, habits=(Habit(0.40, 40.0), Habit(0.35, 8.0), Habit(0.25, 1.0)))
    return [
        Scenario("200M within three days", 200e6, usual),
        Scenario("the same, twice as fast", 200e6, replace(usual, rate=20_000)),
        Scenario("the same, no quiet hours, no cap", 200e6, replace(usual, quiet=None, capped=0)),
        Scenario("half of the month's users", 300e6, usual),
        Scenario("nine in ten of them", 540e6, usual),
        Scenario("200M, urgent, a usual evening", 200e6, evening),
        Scenario("200M within an hour, when they all come", 200e6, evening, rush),
    ]


def table(cost: Costs, limits: Limits) -> str:
    """The scenarios as a table in Markdown."""
    head = (
        "scenario", "reached after", "in the first hour", "touches/s, most", "online, most", "cells",
        "gateways", "workers", "partitions", "stored", "read, most",
    )  # fmt: skip
    rows = [head, ("---",) * len(head)]
    rows += [row(one, cost, limits) for one in scenarios()]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def row(scenario: Scenario, cost: Costs, limits: Limits) -> tuple[str, ...]:
    minutes = simulate(scenario.population, scenario.rules, scenario.goal)
    fleet = size(minutes, cost, limits)
    last = minutes[-1]
    hour = minutes[min(HOUR // STEP, len(minutes)) - 1]
    return (
        scenario.name,
        duration(last.at) if last.reached >= scenario.goal else f"not in {LIMIT_DAYS} days",
        f"{hour.reached / 1e6:,.0f}M",
        f"{max(one.touches for one in minutes):,.0f}",
        f"{max(one.online for one in minutes) / 1e6:,.1f}M",
        f"{fleet.cells}",
        f"{fleet.gateways:,}",
        f"{fleet.workers:,}",
        f"{fleet.cells} x {fleet.partitions}",
        f"{kafka_bytes(last.reached, cost, limits) / 1e9:,.0f} GB",
        f"{bytes_read(minutes, fleet, cost) / 1e6:,.0f} MB/s",
    )


def duration(seconds: float) -> str:
    if seconds < 2 * HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:.1f} days"


def inputs(cost: Costs, limits: Limits) -> str:
    """The measured costs as a table in Markdown."""
    micro = {
        "worker, a touch in a large batch": cost.worker_touch,
        "worker, a touch of a paced release": cost.worker_online_touch,
        "worker, a session that begins": cost.worker_session,
        "gateway, a row of somebody who is elsewhere": cost.row_passed,
        "gateway, a session that begins (token, cursors, sync)": cost.gateway_session,
        "gateway, a user who is touched, shown the notice, and pulls a page": cost.gateway_touch,
    }
    rows = [("measured", "value"), ("---", "---")]
    rows += [(name, f"{seconds * 1e6:,.0f} µs of a core") for name, seconds in micro.items()]
    rows += [
        ("gateway, memory of a connection", f"{cost.gateway_connection_bytes / 1e3:,.1f} kB"),
        ("gateway, connections of a process", f"{limits.connections:,}"),
        (
            "Kafka, bytes of a touch: command, row, reply",
            f"{cost.touch_command_bytes}, {cost.touch_row_bytes}, {cost.touch_reply_bytes}",
        ),
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def document(text: str) -> str:
    """The document with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    cost, limits = costs(), Limits()
    return f"{before}{BEGIN}\n{inputs(cost, limits)}\n{table(cost, limits)}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.public_reach", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    text = document(DOCUMENT.read_text())
    if parser.parse_args().write:
        DOCUMENT.write_text(text)
    print(text.partition(BEGIN)[2].partition(END)[0])


if __name__ == "__main__":
    main()
