"""Deliveries/s to 5,000 listeners of 1,000 messages sent as fast as Kafka takes them, against `send` in a loop."""

import statistics

from rich.progress import Progress

from bench.fanout import LISTENERS, fanout
from bench.figures import Figure
from bench.sockets import Span

ROUNDS, MESSAGES, FLOOR_MESSAGES = 5, 1_000, 50


def measure(progress: Progress) -> Figure:
    task = progress.add_task("bursts", total=ROUNDS)
    ours, floor = [], []
    with fanout() as both:
        both.publish(1)
        for _ in range(ROUNDS):
            ours.append(rate(both.publish(MESSAGES)))
            floor.append(rate(both.loop(FLOOR_MESSAGES)))
            progress.advance(task)
    return Figure(
        statistics.median(ours),
        "deliveries/s",
        statistics.median(floor),
        {"peer_name": "C loop of send"},
    )


def rate(spans: list[Span]) -> float:
    """Deliveries per second from the first arrival of the first message to the last of the last."""
    return len(spans) * LISTENERS / (spans[-1].end - spans[0].begin)
