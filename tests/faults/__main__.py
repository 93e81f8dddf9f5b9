"""Run the kill tests from the command line; exits non-zero unless the checkers are content."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults import kill
from tests.faults.evidence import Run
from tests.processes import ROOT


def main() -> None:
    given = parse()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clean = [carry_out(name, given.seed, long=given.long, console=console) for name in given.load]
    sys.exit(not all(clean))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    kinds = list(kill.SCENARIOS)
    parser.add_argument("load", nargs="*", default=kinds, help=f"of {', '.join(kinds)}; all")
    parser.add_argument("--long", action="store_true", help="more load and 21 kills")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random")
    given = parser.parse_args()
    if unknown := set(given.load) - set(kinds):
        parser.error(f"no such load: {', '.join(unknown)}")
    return given


def carry_out(name: str, seed: int, *, long: bool, console: Console) -> bool:
    """One run; whether all holds."""
    scenario = kill.SCENARIOS[name]
    parent = ROOT / "build" / "faults"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    console.print(f"{name}, seed {seed}, logs in {folder.relative_to(ROOT)}")
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=1)
        report, evidence = kill.run(
            scenario,
            scenario.long if long else scenario.short,
            seed,
            folder,
            lambda what, part: bar.update(task, description=what, completed=part),
        )
    show_counts(console, evidence)
    report.show(console)
    if report.clean:
        shutil.rmtree(folder)
    return report.clean


def show_counts(console: Console, evidence: Run) -> None:
    table = Table("what happened", "times", show_edge=False)
    for what, count in sorted(evidence.counts.items()):
        table.add_row(what, f"{count:,}")
    console.print(table)


if __name__ == "__main__":
    main()
