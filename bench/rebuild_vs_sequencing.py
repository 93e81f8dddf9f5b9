"""Rows per second rebuilt from the log into an empty folder, against messages per second sequenced.

Starting and joining the group take their time with or without a rebuild. So the worker starts twice
after the backlog: with the folder it left, and with none; the difference is the rebuild.
"""

import shutil
import statistics
import time

from rich.progress import Progress

from bench.backlog import Backlog
from bench.broker import Broker, broker
from bench.contenders import READCAST
from bench.figures import Figure
from bench.readcast import ready_worker, table_folder
from bench.sequencing import ROUNDS, prepare, sequence
from bench.topics import CHANGELOG


def measure(progress: Progress) -> Figure:
    backlog = Backlog()
    rebuilt, sequenced, starts = [], [], []
    for _ in range(ROUNDS):
        with broker() as fresh:
            prepare(fresh, [READCAST], backlog)
            sequenced.append(sequence(READCAST, fresh, backlog, progress))
            rows = fresh.topics.count(CHANGELOG)
            kept, empty = starts_with_and_without_folder(fresh, progress)
            rebuilt.append(rows / (empty - kept))
            starts.append({"kept": round(kept, 2), "empty": round(empty, 2), "rows": rows})
    return Figure(
        round(statistics.median(rebuilt), 1),
        "rows/s",
        round(statistics.median(sequenced), 1),
        {"peer_name": "sequencing", "seconds_to_ready": starts},
    )


def starts_with_and_without_folder(fresh: Broker, progress: Progress) -> tuple[float, float]:
    task = progress.add_task("rebuild", total=2)
    kept = seconds_to_ready(fresh)
    progress.advance(task)
    shutil.rmtree(table_folder(fresh))
    empty = seconds_to_ready(fresh)
    progress.advance(task)
    return kept, empty


def seconds_to_ready(fresh: Broker) -> float:
    """Start a worker, wait until it says that it is ready, stop it."""
    begin = time.monotonic()
    with ready_worker(fresh):
        return time.monotonic() - begin
