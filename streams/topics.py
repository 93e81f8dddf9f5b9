"""The topics: their names, and the configuration that the guarantees rest on."""

from __future__ import annotations

from typing import NamedTuple

from streams.settings import Settings

_HOUR = 3_600_000
_DAY = 24 * _HOUR

MIN_REPLICAS = "min.insync.replicas"
"""How many must have what is acknowledged: a topic may ask for more than we do."""

MAX_RECORD = 4 << 20
"""Bytes of the largest record batch on any topic."""

MAX_ANSWER = 1_000_000
"""Bytes of rows after which an answer ends, to go on in the next one: well below a record."""


class Topics(NamedTuple):
    """Topic names of one app."""

    mailbox_commands: str
    mailbox_log: str
    user_commands: str
    user_log: str
    replies: str
    dead_letters: str
    deliveries: str


def topics(settings: Settings) -> Topics:
    """The topic names for these settings."""
    names = (
        "mailbox-commands",
        "mailbox-changelog",
        "user-commands",
        "user-changelog",
        "replies",
        "dead-letters",
        "deliveries",
    )
    return Topics(*(f"{settings.app_id}-{name}" for name in names))


def topic_configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Each topic's configuration.

    Commands carry the broker's time (`LogAppendTime`): in order within a partition, and no sender
    can forge it. So do answers and the like, which a broker would refuse from a worker whose clock is far
    ahead. Logs are compacted only, since they are the state; a row rests an hour before that, so that a
    worker sees a late row of another before it can displace a newer one under the same key. Rows carry the
    time of a command, and are to be taken also if the broker's clock has gone back since, however far.
    """
    name = topics(settings)
    by_broker = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
    commands = {**by_broker, "retention.ms": str(7 * _DAY)}
    log = {
        "cleanup.policy": "compact",
        "message.timestamp.after.max.ms": str(2**63 - 1),
        "min.compaction.lag.ms": str(_HOUR),
        "delete.retention.ms": str(7 * _DAY),
        "segment.ms": str(_DAY),
    }
    passing = {**by_broker, "retention.ms": str(_HOUR), "segment.ms": str(_HOUR)}
    configs = {
        name.mailbox_commands: commands,
        name.mailbox_log: log,
        name.user_commands: commands,
        name.user_log: log,
        name.replies: passing,
        name.dead_letters: {**by_broker, "retention.ms": str(30 * _DAY)},
        name.deliveries: passing,
    }
    all_topics = {
        "max.message.bytes": str(MAX_RECORD),
        # One replica may be away, and what is acknowledged is on another one all the same.
        MIN_REPLICAS: str(max(1, settings.replication_factor - 1)),
    }
    return {topic: config | all_topics for topic, config in configs.items()}


def partition_counts(settings: Settings) -> dict[str, int]:
    """How many partitions each topic has."""
    name = topics(settings)
    return dict.fromkeys(name, settings.partitions) | {
        name.deliveries: settings.delivery_partitions
    }
