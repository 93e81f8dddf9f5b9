"""Time until the last of 5,000 listeners has a lone message, against a C loop of as many `send`s.

It begins before the message goes to Kafka, so the worker's decision and the gateway's reading are in it.
"""

import statistics

from rich.progress import Progress

from bench.fanout import fanout
from bench.figures import Figure

ROUNDS, MESSAGES = 10, 5
MILLISECONDS = 1_000


def measure(progress: Progress) -> Figure:
    task = progress.add_task("last listeners", total=ROUNDS)
    ours, fan_out, floor = [], [], []
    with fanout() as both:
        both.publish(1)
        for _ in range(ROUNDS):
            for _ in range(MESSAGES):
                whole, written = both.publish_alone()
                ours.append(whole.seconds)
                fan_out.append(written.seconds)
            floor += [both.loop(1)[0].seconds for _ in range(MESSAGES)]
            progress.advance(task)
    return Figure(
        statistics.median(ours) * MILLISECONDS,
        "ms",
        statistics.median(floor) * MILLISECONDS,
        {
            "peer_name": "C loop of send",
            "first_to_last": statistics.median(fan_out) * MILLISECONDS,
        },
    )
