"""Making and checking the topics."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from streams.settings import Settings
from streams.topics import MIN_REPLICAS, partition_counts, topic_configs, topics

_MISSING = "missing"
_BOOTSTRAP_MS = 10_000


class TopicReport(NamedTuple):
    """One topic: what was done about it, and what is wrong with it."""

    name: str
    created: bool
    problems: list[str]


async def unfit_topics(settings: Settings) -> dict[str, str]:
    """Topics that a worker can't work with, and why."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        await admin.start()
        found = {
            topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()
        }
    finally:
        await admin.close()
    faults = {
        name: _miscount(settings, name, found[name]) if name in found else _MISSING
        for name in topics(settings)
    }
    return {name: fault for name, fault in faults.items() if fault}


def _miscount(settings: Settings, name: str, partitions: int) -> str | None:
    """What is wrong with a topic's partitions; to those of deliveries more may be added at any time."""
    wanted = partition_counts(settings)[name]
    if partitions == wanted or (partitions > wanted and name == topics(settings).deliveries):
        return None
    return f"{partitions} partitions, not {wanted}"


def ensure_topics(settings: Settings, create: bool = True) -> list[TopicReport]:
    """Create the topics that are missing, and say where one differs from what the guarantees need."""
    admin = KafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers.split(","),
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
    )
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
            admin, settings, {name: wanted[name] for name in wanted if name not in absent}
        )
        return [
            TopicReport(name, create and name in missing, found.get(name, [_MISSING]))
            for name in wanted
        ]
    finally:
        admin.close()


def _problems(
    admin: KafkaAdminClient, settings: Settings, wanted: dict[str, dict[str, str]]
) -> dict[str, list[str]]:
    if not wanted:
        return {}
    problems: dict[str, list[str]] = {name: [] for name in wanted}
    replication = settings.replication_factor
    for topic in admin.describe_topics(list(wanted)):
        name, partitions = topic["name"], topic["partitions"]
        if miscount := _miscount(settings, name, len(partitions)):
            problems[name].append(miscount)
        replicas = min(len(partition["replica_nodes"]) for partition in partitions)
        if replicas < replication:
            problems[name].append(f"replication factor {replicas}, not {replication}")
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    described = admin.describe_configs(resources, config_filter="all")
    configs = next(iter(described.values()))
    for name, config in wanted.items():
        for key, value in config.items():
            actual = configs[name][key]["value"]
            if actual != value and not (key == MIN_REPLICAS and int(actual) > int(value)):
                problems[name].append(f"{key}={actual}, not {value}")
    return problems
