"""Dedup and sequencing in Quix Streams.

Runs in a virtual environment of its own: `.venv-bench/bin/python bench/quix_peer.py BOOTSTRAP
FOLDER INPUT OUTPUT`. State is RocksDB with a changelog topic, at-least-once, acks=all; a
checkpoint each 5 s, the default (1 s made no difference, nor did linger and batch size).
"""

import sys
from typing import Any

from quixstreams import Application, State

HEAD = "head"


def sequence(command: dict[str, Any], key: Any, ts: int, headers: Any, state: State) -> Any:
    """The row of a message with its mailbox's next seq; None if it is no message or a duplicate."""
    if command["type"] != "send":
        return None
    if state.get(command["id"]) is not None:
        return None
    seq = state.get(HEAD, 0) + 1
    state.set(HEAD, seq)
    state.set(command["id"], seq)
    return {
        "seq": seq,
        "id": command["id"],
        "from": command["by"],
        "ts": ts,
        "body": command["body"],
    }


def main(bootstrap: str, folder: str, source: str, output: str) -> None:
    app = Application(
        broker_address=bootstrap,
        consumer_group="quix-peer",
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once",
        state_dir=folder,
        use_changelog_topics=True,
        producer_extra_config={"acks": "all", "linger.ms": 50, "batch.size": 256 * 1024},
        consumer_extra_config={"fetch.min.bytes": 1, "queued.min.messages": 100_000},
    )
    commands = app.topic(source, key_deserializer="bytes", value_deserializer="json")
    rows = app.topic(output, key_serializer="bytes", value_serializer="json")
    frame = app.dataframe(commands)
    frame = frame.apply(sequence, stateful=True, metadata=True)
    frame = frame.filter(lambda row: row is not None)
    frame.to_topic(rows)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:5])
