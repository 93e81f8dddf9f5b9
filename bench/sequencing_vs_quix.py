"""One worker process against Quix Streams: the same dedup and sequencing."""

from rich.progress import Progress

from bench.contenders import QUIX
from bench.figures import Figure
from bench.sequencing import against


def measure(progress: Progress) -> Figure:
    return against(QUIX, progress)
