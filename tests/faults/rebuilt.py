"""Rebuilt from the log equals as written: the databases of stopped workers, byte by byte."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.checker import Finding
from tests.processes import ROOT, START_SECONDS, System
from tests.waiting import eventually

Place = tuple[str, int]
TABLES = {"mailbox": "mailbox-commands", "user": "user-commands"}


def compare(system: System, answers: Callable[[], object] = lambda: None) -> Finding:
    """Stop all workers, rebuild every partition in an empty folder, compare.

    A partition is compared with the folder of the worker that had it last; `answers` asks the
    workers, and is to say the same before and after.
    """
    written, before = owners(system), answers()
    # Gateways that leave end their leases by commands, which must be decided by whoever wrote the rest.
    for gateway in system.gateways:
        gateway.stop()
    kafka = system.kafka
    eventually(lambda: kafka.lag(kafka.command_ends()) == 0, "all commands are decided")
    system.stop()
    fresh = system.worker()
    system.kafka.wait_decides(START_SECONDS)
    after = answers()
    fresh.stop()
    places = sorted(written)
    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(lambda place: dump(written[place], place), places))
        rebuilt = list(pool.map(lambda place: dump(fresh.data, place), places))
    offenders = [
        difference(place, *pair)
        for place, *pair in zip(places, kept, rebuilt, strict=True)
        if pair[0] != pair[1]
    ]
    if after != before:
        offenders.append(f"answered {before} before, and {after} rebuilt")
    keys = sum(len(lines) for lines in kept)
    return Finding(
        "rebuilt from the log equals as written",
        f"{keys:,} keys in {len(places)} databases",
        offenders,
    )


def owners(system: System) -> dict[Place, Path]:
    """The data folder of the worker that has each partition of each table."""
    assignment = system.kafka.assignment()
    folders = {
        (table, number): worker.data
        for worker in system.workers
        if worker.client_id in assignment
        for table, topic in TABLES.items()
        for number in assignment[worker.client_id].of(topic)
    }
    partitions = range(system.kafka.partitions("mailbox-commands"))
    wanted = {(table, number) for table in TABLES for number in partitions}
    assert folders.keys() == wanted, f"nobody has {wanted - folders.keys()}"
    return folders


def dump(data: Path, place: Place) -> list[str]:
    """Every key and value of a database as text, from a copy: opening it may change it."""
    table, number = place
    (database,) = data.rglob(f"{table}-{number}.db")
    copy = data.with_name(f"{data.name}-copy") / database.name
    shutil.copytree(database, copy)
    command = [sys.executable, "-m", "tables.dump", str(copy)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def difference(place: Place, kept: list[str], rebuilt: list[str]) -> str:
    only_kept = sorted(set(kept) - set(rebuilt))
    only_rebuilt = sorted(set(rebuilt) - set(kept))
    return (
        f"{place}: {len(only_kept)} lines only as written, {len(only_rebuilt)} only rebuilt: "
        f"{readable(only_kept[:1])} and {readable(only_rebuilt[:1])}"
    )


def readable(lines: list[str]) -> str:
    return " ".join(
        bytes.fromhex(part).decode(errors="backslashreplace")[:300]
        for line in lines
        for part in line.split()
    )
