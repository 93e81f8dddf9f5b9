"""The local broker: docker/local/kafka.py."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from tests.processes import HOST, ROOT, Broker, Process, listens, start_or_skip
from tests.waiting import eventually

SCRIPT = ROOT / "docker/local/kafka.py"
TOPIC = "kept"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of its own, since these tests kill it."""
    with Broker(tmp_path_factory.mktemp("local")) as broker:
        start_or_skip(broker)
        make_topic(broker.bootstrap)
        yield broker


def make_topic(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({TOPIC: {"num_partitions": 1, "replication_factor": 1}})
    admin.wait_for_topics([TOPIC])
    admin.close()


def produce(bootstrap: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    producer.send(TOPIC, value, partition=0).get(timeout=30)
    producer.close()


def consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    partition = TopicPartition(TOPIC, 0)
    consumer.assign([partition])
    found: list[bytes] = []

    def enough() -> bool:
        polled = consumer.poll(timeout_ms=200)
        found.extend(record.value for record in polled.get(partition, ()))
        return len(found) >= count

    eventually(enough, f"{count} records")
    consumer.close()
    return found


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_keeps_records_when_killed_and_started_again(local):
    produce(local.bootstrap, b"before")
    local.kill()
    local.start()
    produce(local.bootstrap, b"after")
    assert consume(local.bootstrap, 2) == [b"before", b"after"]


def test_makes_no_topic_by_itself(local):
    listed = run("tool", "topics", "--bootstrap-server", local.bootstrap, "--list")
    assert TOPIC in listed.stdout.split()
    consumer = KafkaConsumer("never-made", bootstrap_servers=local.bootstrap)
    consumer.poll(timeout_ms=500)
    consumer.close()
    listed = run("tool", "topics", "--bootstrap-server", local.bootstrap, "--list")
    assert "never-made" not in listed.stdout.split()


def test_the_process_is_the_broker_and_ends_on_sigterm(local, tmp_path):
    """A stop that is not a kill leaves no lock: a second broker takes the folder over."""
    first = Broker(tmp_path)
    with first:
        first.start()
        assert first.stop() == 128 + 15
        with Broker(tmp_path) as second:
            second.start()


def test_takes_free_ports_and_says_which(local, tmp_path):
    command = [sys.executable, SCRIPT, "run", "--data", tmp_path / "data"]
    with Process("broker on free ports", command, tmp_path / "log", {}) as process:
        process.start()
        said = eventually(lambda: process.check() and process.tail(), "its address")
        host, port = said.splitlines()[0].split(":")
        assert host == HOST
        eventually(lambda: process.check() and listens(int(port)), "a broker at its address")


def test_names_the_port_that_is_taken(local, tmp_path):
    done = run("run", "--port", str(local.port), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"port {local.port}" in done.stderr
    assert not (tmp_path / "data").exists()


def test_tells_three_ways_when_java_is_missing(tmp_path):
    done = run("run", "--data", str(tmp_path / "data"), JAVA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "Java 17" in done.stderr
    assert "docker compose" in done.stderr


@pytest.fixture
def copied_script(tmp_path: Path) -> Path:
    """The script in a repository of its own, which has fetched nothing."""
    folder = tmp_path / "docker/local"
    folder.mkdir(parents=True)
    shutil.copy(SCRIPT.with_name("pom.xml"), folder)
    return Path(shutil.copy(SCRIPT, folder))


def fake_maven(folder: Path, script: str) -> str:
    folder.mkdir()
    maven = folder / "mvn"
    maven.write_text(f"#!/bin/sh\n{script}\n")
    maven.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def fetch(script: Path, path: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), "fetch"]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60)


MAKES_A_JAR = """
for word; do
  case $word in -DoutputDirectory=*) lib=${word#*=} ;; esac
done
mkdir -p "$lib" && touch "$lib/kafka.jar"
"""


def test_a_half_fetched_folder_is_never_taken_for_complete(copied_script, tmp_path):
    lib = tmp_path / "build/kafka/lib"
    failed = fetch(copied_script, fake_maven(tmp_path / "failing", f"{MAKES_A_JAR}\nexit 1"))
    assert failed.returncode == 1
    assert "docker compose" in failed.stderr
    assert not lib.exists()

    fetched = fetch(copied_script, fake_maven(tmp_path / "working", MAKES_A_JAR))
    assert fetched.returncode == 0
    assert (lib / "kafka.jar").exists()


def test_fetches_once_and_again_when_the_versions_change(copied_script, tmp_path):
    count = tmp_path / "count"
    path = fake_maven(tmp_path / "maven", f"{MAKES_A_JAR}\necho >> {count}")
    for _ in range(2):
        fetch(copied_script, path)
    assert count.read_text().count("\n") == 1

    pom = copied_script.with_name("pom.xml")
    pom.write_text(pom.read_text().replace("4.3.1", "4.3.2"))
    fetch(copied_script, path)
    assert count.read_text().count("\n") == 2
