"""The `topics` command on a real broker."""

import time
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from streams.settings import Settings
from streams.topics import MIN_REPLICAS, topics
from tests.processes import System


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("READCAST_PARTITIONS", "8 partitions, not 9"),
        ("READCAST_DELIVERY_PARTITIONS", "8 partitions, not 9"),
        ("READCAST_REPLICATION_FACTOR", "replication factor 1, not 9"),
    ],
)
def test_topics_that_were_made_otherwise_are_told(
    broker: str, tmp_path: Path, setting: str, problem: str
):
    with System(broker, tmp_path) as system:
        system.create_topics()
        assert system.faust("topics", "--check").returncode == 0
        checked = system.faust("topics", "--check", **{setting: "9"})
        assert checked.returncode != 0
        assert problem in checked.stdout


def test_missing_topics_are_told_and_more_partitions_for_deliveries_are_fine(
    broker: str, tmp_path: Path
):
    with System(broker, tmp_path) as system:
        checked = system.faust("topics", "--check")
        assert (checked.returncode != 0, checked.stdout.count("missing")) == (True, 7)
        system.create_topics()
        fewer = system.faust("topics", "--check", READCAST_DELIVERY_PARTITIONS="7")
        assert fewer.returncode == 0


def test_records_with_times_to_come_are_taken(broker: str, tmp_path: Path):
    in_a_day = int((time.time() + 86_400) * 1_000)
    with System(broker, tmp_path) as system:
        system.create_topics()
        for topic in topics(Settings(app_id=system.app_id)):
            stored = system.kafka.producer.send(topic, key=b"k", value=b"{}", timestamp_ms=in_a_day)
            stored.get(30)


def test_only_too_few_replicas_that_must_agree_are_a_fault(broker: str, tmp_path: Path):
    with System(broker, tmp_path) as system:
        system.create_topics()
        topic = system.kafka.topic("mailbox-changelog")
        wanted = ConfigResource(ConfigResourceType.TOPIC, topic, configs={MIN_REPLICAS: "2"})
        system.kafka.admin.alter_configs([wanted])
        assert system.faust("topics", "--check").returncode == 0
        checked = system.faust("topics", "--check", READCAST_REPLICATION_FACTOR="4")
        assert f"{MIN_REPLICAS}=2, not 3" in checked.stdout
