"""A real single-node Apache Kafka from Maven Central, without containers.

kafka.py fetch                 fetch the jars into build/kafka/lib
kafka.py run [--port P] ...    become the broker, with its data in --data
kafka.py tool NAME ARGS...     run one of Kafka's command-line tools
"""

import argparse
import base64
import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

REPO = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("pom.xml")
LIB = REPO / "build" / "kafka" / "lib"
HOST = "127.0.0.1"
MEBIBYTE = 1024 * 1024

THREE_WAYS = """\
Readcast needs a Kafka broker. Three ways to have one:
  1. your own: set KAFKA_BOOTSTRAP_SERVERS=host:port
  2. Java 17 or newer and Maven on the PATH: `make run` starts a broker from Maven Central
  3. Docker: export READCAST_AUTH_SECRET=$(openssl rand -hex 32)
             docker compose -f docker/compose.yaml up"""

TOOLS = {
    "acls": "org.apache.kafka.tools.AclCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "storage": "kafka.tools.StorageTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
}

LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel"
BROKER_JVM = (
    *("-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    f"{LOG_LEVEL}=warn",
)
TOOL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"{LOG_LEVEL}=error")


class Unavailable(Exception):
    """The broker can't be had this way; the message tells the user what to do."""


def main() -> None:
    arguments = parser().parse_args()
    try:
        arguments.action(arguments)
    except Unavailable as error:
        sys.exit(str(error))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = top.add_subparsers(required=True, metavar="fetch | run | tool")

    fetch_parser = actions.add_parser("fetch", help="fetch the jars")
    fetch_parser.set_defaults(action=lambda _: fetch())

    run_parser = actions.add_parser("run", help="become the broker")
    run_parser.add_argument("--port", type=int, default=0, help="for clients; 0: a free one")
    run_parser.add_argument("--controller-port", type=int, default=0, help="0: a free one")
    run_parser.add_argument("--data", type=Path, required=True, help="folder, made when missing")
    run_parser.set_defaults(
        action=lambda given: run(
            java(given.java_home), given.port, given.controller_port, given.data
        )
    )

    tool_parser = actions.add_parser("tool", help="run a command-line tool")
    tool_parser.add_argument("name", choices=sorted(TOOLS))
    tool_parser.add_argument("arguments", nargs=argparse.REMAINDER)
    tool_parser.set_defaults(
        action=lambda given: tool(java(given.java_home), given.name, given.arguments)
    )
    top.set_defaults(java_home=os.environ.get("JAVA_HOME"))
    return top


def fetch() -> None:
    with locked(LIB.parent / "fetch.lock"):
        if not fetched():
            download()


def fetched() -> bool:
    """The pom beside the jars is written last and names their versions."""
    marker = LIB / POM.name
    return marker.exists() and marker.read_bytes() == POM.read_bytes()


def download() -> None:
    part = LIB.with_name("lib.part")
    shutil.rmtree(part, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={part}"]
    print("fetching Apache Kafka from Maven Central, 55 MB ...", file=sys.stderr)
    done = subprocess.run(
        [maven(), "-q", "-B", "-f", POM, *goal], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise Unavailable(f"{said}\n\nMaven could not fetch Apache Kafka.\n{THREE_WAYS}")
    shutil.copy(POM, part)
    shutil.rmtree(LIB, ignore_errors=True)
    part.rename(LIB)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: str, port: int, controller_port: int, data: Path) -> NoReturn:
    fetch()
    port, controller_port = usable_ports(port, controller_port)
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    properties = data / "server.properties"
    properties.write_text(server_properties(port, controller_port, data))
    if not (data / "log" / "meta.properties").exists():
        format_storage(command, properties)
    print(f"{HOST}:{port}", flush=True)
    execute([command, *BROKER_JVM, "-cp", f"{LIB}/*", "kafka.Kafka", str(properties)])


def usable_ports(*wanted: int) -> list[int]:
    """The wanted ports, each 0 replaced by a free one."""
    with ExitStack() as held:
        return [bind(held.enter_context(socket.socket()), port) for port in wanted]


def bind(listener: socket.socket, port: int) -> int:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        raise Unavailable(f"port {port} of {HOST} can't be used: {error.strerror}") from error
    return int(listener.getsockname()[1])


def server_properties(port: int, controller_port: int, data: Path) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data / "log",
        "auto.create.topics.enable": "false",
        "message.max.bytes": 8 * MEBIBYTE,
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # After a kill the broker may register again only when its last session has ended.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # The rest keeps the broker small enough to share a laptop.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.segment.bytes": 256 * MEBIBYTE,
        "log.cleaner.dedupe.buffer.size": 32 * MEBIBYTE,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def format_storage(command: str, properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [
            *(command, *TOOL_JVM, "-cp", f"{LIB}/*", TOOLS["storage"]),
            *("format", "--ignore-formatted", f"--cluster-id={cluster}", "--config", properties),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise Unavailable(f"{said}\n\nKafka could not prepare {properties.parent}.")


def tool(command: str, name: str, arguments: Sequence[str]) -> NoReturn:
    fetch()
    execute([command, *TOOL_JVM, "-cp", f"{LIB}/*", TOOLS[name], *arguments])


def execute(command: Sequence[str]) -> NoReturn:
    """Become the command, so that a signal to this process reaches it."""
    os.execv(command[0], command)


def java(home: str | None) -> str:
    """The command: in `home` if that is given, else on the PATH."""
    found = shutil.which("java", path=f"{home}/bin" if home else None)
    if found is None or java_version(found) < 17:
        raise Unavailable(f"Java 17 or newer was not found.\n{THREE_WAYS}")
    return found


def java_version(command: str) -> int:
    said = subprocess.run([command, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0


def maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise Unavailable(f"Maven was not found.\n{THREE_WAYS}")
    return found


if __name__ == "__main__":
    main()
