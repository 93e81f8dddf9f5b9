"""Members per second that join a group in bulk, 1,000,000 of them, against messages per second sequenced.

The time runs from before the first command is sent, 1,000 members in each, to the last member row stored. The
users' own rows come after: each is a command to the user's partition, not waited for here.
"""

import asyncio
import statistics
import time
from pathlib import Path

from rich.progress import Progress

from bench.backlog import Backlog, group, opening, send
from bench.broker import Broker, broker
from bench.contenders import READCAST
from bench.figures import Figure
from bench.processes import Process
from bench.readcast import make_topics, ready_worker, table_folder
from bench.sequencing import LIMIT_SECONDS, POLL_SECONDS, RowsError, race
from bench.topics import CHANGELOG

MEMBERS = 1_000_000
GROUP = group(0)


def measure(progress: Progress) -> Figure:
    sequencing = race([READCAST], Backlog(), progress, rounds=1)[READCAST.name]
    joined, size = join(progress)
    sequencing += race([READCAST], Backlog(), progress, rounds=1)[READCAST.name]
    return Figure(
        joined,
        "members/s",
        statistics.median(sequencing),
        {"peer_name": "sequencing", "members": MEMBERS, "disk_bytes_per_member": round(size)},
    )


def join(progress: Progress) -> tuple[float, float]:
    """Members per second on a fresh broker, and the bytes of the mailbox table for each."""
    with broker() as fresh:
        make_topics(fresh)
        with ready_worker(fresh) as worker:
            seconds = drain(fresh, worker, progress)
        check(fresh)
        tables = [folder for folder in table_folder(fresh).rglob("mailbox*") if folder.is_dir()]
        return round(MEMBERS / seconds, 1), sum(map(size_of, tables)) / MEMBERS


def drain(fresh: Broker, worker: Process, progress: Progress) -> float:
    """Seconds from sending the commands to the last member."""
    task = progress.add_task("members", total=MEMBERS)
    begin, stored = time.monotonic(), 0
    commands = list(opening(GROUP, MEMBERS))
    asyncio.run(send(fresh.bootstrap, iter(commands)))
    # Each command changes the row of the group, too.
    while stored < MEMBERS + len(commands):
        time.sleep(POLL_SECONDS)
        worker.check()
        look = time.monotonic()
        stored = fresh.topics.count(CHANGELOG)
        progress.update(task, completed=min(stored, MEMBERS))
        if look > begin + LIMIT_SECONDS:
            raise worker.failure(f"stored {stored} of {MEMBERS} members in {LIMIT_SECONDS} s")
    return look - begin


def check(fresh: Broker) -> None:
    """Each member must have one row."""
    prefix = f"{GROUP}/u/".encode()
    members = [key for key, _ in fresh.topics.read(CHANGELOG) if key.startswith(prefix)]
    if len(members) != MEMBERS or len(set(members)) != MEMBERS:
        raise RowsError(f"{len(members)} member rows, {len(set(members))} of them different")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
