"""One worker process against Kafka Streams with one thread: the same dedup and sequencing."""

from rich.progress import Progress

from bench.contenders import KAFKA_STREAMS
from bench.figures import Figure
from bench.sequencing import against


def measure(progress: Progress) -> Figure:
    return against(KAFKA_STREAMS, progress)
