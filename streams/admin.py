"""Making and checking the topics."""

from __future__ import annotations

from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from streams.settings import Settings
from streams.topics import partition_counts, topic_configs


class TopicReport(NamedTuple):
    """One topic: what was done about it, and what is wrong with it."""

    name: str
    created: bool
    problems: list[str]


def ensure_topics(settings: Settings, create: bool = True) -> list[TopicReport]:
    """Create the topics that are missing, and say where one differs from what the guarantees need."""
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers.split(","))
    try:
        wanted = topic_configs(settings)
        counts = partition_counts(settings)
        missing = set(wanted) - set(admin.list_topics())
        if create and missing:
            admin.create_topics(
                {
                    name: {
                        "num_partitions": counts[name],
                        "replication_factor": settings.replication_factor,
                        "configs": wanted[name],
                    }
                    for name in missing
                },
                wait_for_metadata=True,
            )
        absent = set() if create else missing
        found = _problems(
            admin, counts, {name: wanted[name] for name in wanted if name not in absent}
        )
        return [
            TopicReport(name, create and name in missing, found.get(name, ["missing"]))
            for name in wanted
        ]
    finally:
        admin.close()


def _problems(
    admin: KafkaAdminClient, counts: dict[str, int], wanted: dict[str, dict[str, str]]
) -> dict[str, list[str]]:
    if not wanted:
        return {}
    problems: dict[str, list[str]] = {name: [] for name in wanted}
    for topic in admin.describe_topics(list(wanted)):
        name, partitions = topic["name"], len(topic["partitions"])
        if partitions != counts[name]:
            problems[name].append(f"{partitions} partitions, not {counts[name]}")
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    described = admin.describe_configs(resources, config_filter="all")
    configs = next(iter(described.values()))
    for name, config in wanted.items():
        for key, value in config.items():
            actual = configs[name][key]["value"]
            if actual != value:
                problems[name].append(f"{key}={actual}, not {value}")
    return problems
