"""`python -m bench [FIGURE]`: measure one figure or all, and keep them in build/bench.json."""

import argparse

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.figures import NAMES, RESULTS, Figure, keep, measure
from bench.paths import ROOT
from bench.processes import stop_on_sigterm


def main() -> None:
    stop_on_sigterm()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figure", nargs="?", choices=NAMES, help="all of them if left out")
    chosen = parser.parse_args().figure
    console = Console()
    figures = {}
    with progress_bars(console) as progress:
        for name in [chosen] if chosen else NAMES:
            figures[name] = measure(name, progress)
            keep(name, figures[name])
    console.print(table(figures))
    console.print(f"kept in {RESULTS.relative_to(ROOT)}")


def progress_bars(console: Console | None = None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def table(figures: dict[str, Figure]) -> Table:
    result = Table("figure", "value", "peer", "unit", "ratio")
    for name, figure in figures.items():
        result.add_row(
            name, f"{figure.value:,.2f}", f"{figure.peer:,.2f}", figure.unit, f"{figure.ratio:.2f}"
        )
    return result


if __name__ == "__main__":
    main()
