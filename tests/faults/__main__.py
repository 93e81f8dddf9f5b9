"""Run the kill test from the command line; exits non-zero unless the checker is content."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults import kill
from tests.faults.evidence import Evidence
from tests.faults.scenario import seed_of_now
from tests.processes import ROOT


def main() -> None:
    options = parse()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parent = ROOT / "build" / "faults"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    console.print(f"seed {options.seed}, logs in {folder.relative_to(ROOT)}")
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=1)
        report, evidence = kill.run(
            options,
            folder,
            lambda what, part: bar.update(task, description=what, completed=part),
        )
    show_counts(console, evidence)
    report.show(console)
    if report.clean:
        shutil.rmtree(folder)
    sys.exit(not report.clean)


def parse() -> kill.Options:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="20,000 messages and 21 kills")
    parser.add_argument("--seed", type=int, default=seed_of_now(), help="of all that is random")
    given = parser.parse_args()
    return (kill.long if given.long else kill.short)(given.seed)


def show_counts(console: Console, evidence: Evidence) -> None:
    table = Table("what happened", "times", show_edge=False)
    table.add_row("messages", f"{len(evidence.sent):,}")
    for what, count in sorted(evidence.counts.items()):
        table.add_row(what, f"{count:,}")
    console.print(table)


if __name__ == "__main__":
    main()
