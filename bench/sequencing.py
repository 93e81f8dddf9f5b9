"""Messages per second from the command topic to the last row appended.

`python -m bench.sequencing NAME` runs one alone: readcast, kafka_streams, quix or bare_loop.
"""

import argparse
import re
import statistics
import time
from collections import defaultdict

import msgspec
from rich.progress import Progress

from bench.backlog import Backlog, load
from bench.broker import Broker, broker
from bench.contenders import CONTENDERS, READCAST, Contender
from bench.figures import Figure
from bench.processes import stop_on_sigterm
from bench.readcast import make_topics
from bench.topics import COMMANDS

ROUNDS = 2
POLL_SECONDS = 0.02
QUIET_SECONDS = 3
LIMIT_SECONDS = 300
MESSAGE_KEY = re.compile(rb"(group:[0-9]+)(/m/[0-9a-f]{16})?")


class Seq(msgspec.Struct):
    """The part of a message row that is checked."""

    seq: int


seq_of = msgspec.json.Decoder(Seq).decode


class RowsError(Exception):
    """The output is not what the backlog must give, so the rate means nothing."""


def against(peer: Contender, progress: Progress) -> Figure:
    """Readcast's rate beside a peer's: the median of ROUNDS runs of each over the same backlogs."""
    backlog = Backlog()
    rates = race([READCAST, peer], backlog, progress)
    return Figure(
        statistics.median(rates[READCAST.name]),
        "messages/s",
        statistics.median(rates[peer.name]),
        {"peer_name": peer.name, "messages": backlog.messages, "runs": rates},
    )


def race(
    contenders: list[Contender], backlog: Backlog, progress: Progress, rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Run all in turn, each round on a fresh broker and in the other order (ABBA)."""
    for contender in contenders:
        contender.build()
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    order = list(contenders)
    for _ in range(rounds):
        with broker() as fresh:
            prepare(fresh, order, backlog)
            for contender in order:
                rates[contender.name].append(sequence(contender, fresh, backlog, progress))
        order.reverse()
    return rates


def prepare(fresh: Broker, contenders: list[Contender], backlog: Backlog) -> None:
    """Make the topics and load the backlog."""
    if READCAST in contenders:
        make_topics(fresh)
    fresh.topics.create(COMMANDS, **{"message.timestamp.type": "LogAppendTime"})
    for contender in contenders:
        fresh.topics.create(contender.output)
    load(fresh, backlog)


def sequence(contender: Contender, fresh: Broker, backlog: Backlog, progress: Progress) -> float:
    """Run one contender over the backlog; its messages per second, after a look at all its rows."""
    seconds = drain(contender, fresh, contender.rows(backlog), progress)
    check(contender, fresh, backlog)
    return round(contender.rows(backlog) / seconds, 1)


def drain(contender: Contender, fresh: Broker, rows: int, progress: Progress) -> float:
    """Seconds between the last look without any row and the first with all of them."""
    task = progress.add_task(contender.name, total=rows)
    before = fresh.topics.count(contender.output)
    with contender.start(fresh) as process:
        begin = grew = time.monotonic()
        limit = begin + LIMIT_SECONDS
        seen = 0
        while seen < rows or time.monotonic() < grew + QUIET_SECONDS:
            time.sleep(POLL_SECONDS)
            process.check()
            look = time.monotonic()
            count = fresh.topics.count(contender.output) - before
            if not count:
                begin = look
            if count > seen:
                seen, grew = count, look
                progress.update(task, completed=min(seen, rows))
            if look > limit:
                raise process.failure(f"gave {seen} of {rows} rows in {LIMIT_SECONDS} s")
    return grew - begin


def check(contender: Contender, fresh: Broker, backlog: Backlog) -> None:
    """Each mailbox's seqs must run from 1 without a hole, and all messages be there, once."""
    seqs: dict[bytes, list[int]] = defaultdict(list)
    for key, value in fresh.topics.read(contender.output):
        if found := MESSAGE_KEY.fullmatch(key):
            seqs[found[1]].append(seq_of(value).seq)
    total = sum(map(len, seqs.values()))
    if total != contender.rows(backlog):
        raise RowsError(f"{contender.name}: {total} message rows, not {contender.rows(backlog)}")
    if contender.sequences and any(
        found != list(range(1, len(found) + 1)) for found in seqs.values()
    ):
        raise RowsError(f"{contender.name}: seqs out of order or with holes")


def main() -> None:
    from bench.__main__ import progress_bars

    stop_on_sigterm()
    parser = argparse.ArgumentParser(prog="python -m bench.sequencing", description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--messages", type=int, default=Backlog().messages)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    contender = CONTENDERS[arguments.contender]
    with progress_bars() as progress:
        rates = race([contender], Backlog(arguments.messages), progress, arguments.rounds)
    print(f"{contender.name}: {rates[contender.name]} messages/s")


if __name__ == "__main__":
    main()
