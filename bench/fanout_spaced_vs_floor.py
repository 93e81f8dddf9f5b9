"""Deliveries per second to 5,000 listeners of a lone message, against a C loop of `send` over as many sockets.

From the first listener that has it to the last; the next message is sent when the last one has arrived everywhere, so
none share a write.
"""

import statistics

from rich.progress import Progress

from bench.fanout import LISTENERS, fanout
from bench.figures import Figure

ROUNDS, MESSAGES = 10, 5


def measure(progress: Progress) -> Figure:
    task = progress.add_task("lone messages", total=ROUNDS)
    ours, floor = [], []
    with fanout() as both:
        both.publish(1)
        for _ in range(ROUNDS):
            ours += [both.publish(1)[0].seconds for _ in range(MESSAGES)]
            floor += [both.loop(1)[0].seconds for _ in range(MESSAGES)]
            progress.advance(task)
    return Figure(
        LISTENERS / statistics.median(ours),
        "deliveries/s",
        LISTENERS / statistics.median(floor),
        {"peer_name": "C loop of send"},
    )
