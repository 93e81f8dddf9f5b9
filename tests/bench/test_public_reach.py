"""The simulation of a release to everybody: nobody is lost or made up, its rules hold, and its document is current."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.public_costs import Costs, costs
from bench.public_reach import (
    DAY,
    DOCUMENT,
    HOUR,
    Fleet,
    Habit,
    Limits,
    Minute,
    Population,
    Rules,
    document,
    is_quiet,
    simulate,
    size,
    weight,
)

EVERYBODY = 1.0
FLAT = (1.0,) * 24
COSTS = Costs(
    worker_touch=1e-5,
    worker_online_touch=1e-4,
    worker_session=1e-4,
    row_passed=1e-5,
    gateway_session=1e-3,
    gateway_touch=1e-3,
    gateway_connection_bytes=15_000,
    touch_command_bytes=200,
    touch_row_bytes=100,
    touch_reply_bytes=100,
)


def village(*habits: Habit, **fields: object) -> Population:
    """1,000 people in one zone who come at any hour alike."""
    people = Population(users=1_000, habits=habits, zones=((0, 1.0),), curve=FLAT)
    return replace(people, **fields)


@settings(max_examples=20)
@given(
    rate=st.floats(0.02, 100),
    often=st.floats(2, 20),
    start=st.floats(0, 23),
    capped=st.floats(0, 1),
)
def test_more_are_reached_all_the_time_and_never_more_than_there_are(
    rate: float, often: float, start: float, capped: float
):
    people = village(Habit(EVERYBODY, often), curve=Population().curve)
    rules = Rules(rate, start, (22, 8), capped)
    minutes = simulate(people, rules, goal=900)
    reached = [one.reached for one in minutes]
    assert reached == sorted(reached)
    assert reached[-1] <= people.users * (1 + 1e-9)
    assert all(one.touches <= rate * (1 + 1e-9) for one in minutes)


def test_without_a_limit_users_are_reached_as_they_come():
    minutes = simulate(village(Habit(EVERYBODY, 1.0)), Rules(1e9, 0, None, 0), goal=900)
    unreached = 1_000 - minutes[-1].reached
    begun = math.exp(-(minutes[-1].at + 600) / DAY)
    assert unreached == pytest.approx(1_000 * begun, rel=0.01)


def test_the_rate_bounds_a_release():
    minutes = simulate(village(Habit(EVERYBODY, 10_000.0)), Rules(0.1, 0, None, 0), goal=720)
    assert minutes[-1].at == pytest.approx(2 * HOUR, rel=0.02)


def test_nobody_is_touched_in_quiet_hours():
    rules = Rules(1e9, 20, (22, 8), 0)
    for one in simulate(village(Habit(EVERYBODY, 2.0)), rules, goal=800):
        hour = (20 + (one.at - 60) / HOUR) % 24
        assert one.touches == 0 or 8 <= hour < 22
        assert is_quiet(rules, 0, hour * HOUR) == (not 8 <= hour < 22)


def test_those_whose_cap_is_used_up_wait_for_their_next_day():
    minutes = simulate(village(Habit(EVERYBODY, 50.0)), Rules(1e9, 12, None, 0.4), goal=900)
    at_midnight = next(one for one in minutes if one.at == 12 * HOUR)
    assert at_midnight.reached == pytest.approx(600, rel=0.01)
    assert minutes[-1].reached >= 900


def test_an_hour_weighs_one_on_average():
    people = Population()
    hours = [weight(people, 5, number * HOUR) for number in range(24)]
    assert sum(hours) / 24 == pytest.approx(1)


def test_a_fleet_carries_the_busiest_minute():
    busy = Minute(at=60, reached=0, touches=1_000, sessions=1_000, online=60_000)
    calm = replace(busy, touches=0, sessions=10, online=1_000)
    limits = Limits(connections=15_000, core=0.5, gateways_per_cell=100)
    # 1,000 touches and 1,000 sessions of 1 ms each: 2 cores, of gateways that read rows for 0.01 of a core.
    assert size([calm, busy], COSTS, limits) == Fleet(1, 5, 1, 1)
    assert size([replace(busy, online=90_000)], COSTS, limits).gateways == 6


def test_a_log_too_busy_for_one_gateway_is_divided_among_cells():
    busy = Minute(at=60, reached=0, touches=100_000, sessions=0, online=0)
    limits = Limits(core=0.55, gateways_per_cell=900)
    fleet = size([busy], COSTS, limits)
    assert fleet.cells == 3
    assert fleet.gateways == 3 * math.ceil(100 / 3 / (0.55 - 1 / 3))


def test_the_document_holds_what_the_costs_give():
    assert document(DOCUMENT.read_text()) == DOCUMENT.read_text()
    assert costs().worker_touch > 0
