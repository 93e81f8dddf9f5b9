"""Who takes part in a race over the same backlog, and how each is built and started."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.backlog import Backlog
from bench.broker import Broker
from bench.paths import BENCH, BUILD, PYTHON, ROOT
from bench.processes import Process, run
from bench.readcast import start_worker
from bench.topics import CHANGELOG, COMMANDS

PEERS = ROOT / ".venv-bench"
PEERS_PYTHON = PEERS / "bin/python"
STREAMS_BUILD = BUILD / "kafka_streams"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to turn `readcast-mailbox-commands` into message rows.

    `sequences` is False for one without state: its rows hold no seq and its duplicates stay.
    """

    name: str
    output: str
    build: Callable[[], None]
    start: Callable[[Broker], Process]
    sequences: bool = True

    def rows(self, backlog: Backlog) -> int:
        """Message rows that the backlog must give."""
        return backlog.messages + (0 if self.sequences else backlog.resent)


def build_nothing() -> None:
    """What runs from the repository is there."""


def build_kafka_streams() -> None:
    BUILD.mkdir(exist_ok=True)
    run(
        ["mvn", "--batch-mode", "--quiet", "--file", BENCH / "kafka_streams/pom.xml", "package"],
        BUILD / "kafka_streams.log",
    )


def start_kafka_streams(broker: Broker) -> Process:
    classpath = f"{STREAMS_BUILD}/peer.jar:{STREAMS_BUILD}/lib/*"
    folder = broker.folder / "kafka_streams"
    java = [
        "java",
        "-Xms1g",
        "-Xmx1g",
        "-XX:+UseParallelGC",
        "-cp",
        classpath,
        "readcast.bench.SequencerApp",
    ]
    return Process(
        [*java, broker.bootstrap, folder, COMMANDS, KAFKA_STREAMS.output],
        broker.folder / "kafka_streams.log",
    )


def build_peers() -> None:
    """Make `.venv-bench` as the Makefile does, again when bench/requirements.txt has changed."""
    BUILD.mkdir(exist_ok=True)
    run(["make", "--quiet", f"{PEERS.name}/.installed"], BUILD / "peers.log")


def start_quix(broker: Broker) -> Process:
    folder = broker.folder / "quix"
    return Process(
        [PEERS_PYTHON, BENCH / "quix_peer.py", broker.bootstrap, folder, COMMANDS, QUIX.output],
        broker.folder / "quix.log",
    )


def start_bare_loop(broker: Broker) -> Process:
    return Process(
        [PYTHON, "-m", "bench.bare_loop", broker.bootstrap, COMMANDS, BARE_LOOP.output],
        broker.folder / "bare_loop.log",
    )


READCAST = Contender("readcast", CHANGELOG, build_nothing, start_worker)
KAFKA_STREAMS = Contender(
    "kafka_streams", "kafka-streams-rows", build_kafka_streams, start_kafka_streams
)
QUIX = Contender("quix", "quix-rows", build_peers, start_quix)
BARE_LOOP = Contender(
    "bare_loop", "bare-loop-rows", build_nothing, start_bare_loop, sequences=False
)
CONTENDERS = {one.name: one for one in (READCAST, KAFKA_STREAMS, QUIX, BARE_LOOP)}
