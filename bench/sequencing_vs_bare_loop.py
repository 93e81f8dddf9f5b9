"""One worker process, with all its rules and tables, against a loop that keeps no state."""

from rich.progress import Progress

from bench.contenders import BARE_LOOP
from bench.figures import Figure
from bench.sequencing import against


def measure(progress: Progress) -> Figure:
    return against(BARE_LOOP, progress)
