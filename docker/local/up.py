"""Run Readcast on this machine: broker, worker, gateway and demo data, until Ctrl-C.

Uses KAFKA_BOOTSTRAP_SERVERS when it is set, else starts a broker of its own. Data stays in
READCAST_DATA (default: data/), the logs of the parts in its folder logs/.
"""

import fcntl
import os
import secrets
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from honcho.environ import parse_procfile
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from parts import Parts, StartError

LOCAL = Path(__file__).resolve().parent
REPO = LOCAL.parents[1]
COMMANDS = parse_procfile((LOCAL / "Procfile").read_text()).processes

# What it waits for is on this machine, whatever proxy the environment names.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
HOST = "127.0.0.1"
BROKER_SECONDS = 300  # the first start fetches Kafka
GATEWAY_SECONDS = 120  # it reads the logs from their beginning

console = Console(highlight=False)


def main() -> None:
    given = dict(os.environ)
    data = Path(given.get("READCAST_DATA") or REPO / "data").resolve()
    try:
        with locked(data), Parts(REPO, environment(given, data), data / "logs") as parts:
            run(parts, with_broker=needs_broker(given))
    except StartError as error:
        console.print("[bold red]Readcast stopped.[/]", Text.from_ansi(str(error)), soft_wrap=True)
        sys.exit(1)


def run(parts: Parts, *, with_broker: bool) -> None:
    try:
        start(parts, with_broker=with_broker)
        parts.wait(lambda: False)
    except KeyboardInterrupt:
        console.print("stopping; once more kills hard")


@contextmanager
def locked(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"Another run uses {data}.") from None
        yield


def environment(given: Mapping[str, str], data: Path) -> dict[str, str]:
    """What the parts are told; what the user has given stays."""
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "READCAST_DATA": str(data),
        "READCAST_DEMO": "1",
        "READCAST_AUTH_SECRET": given.get("READCAST_AUTH_SECRET") or secrets.token_urlsafe(32),
        "READCAST_GATEWAY_PORT": choose_port(given, "READCAST_GATEWAY_PORT", 8080),
        "READCAST_WORKER_METRICS_PORT": choose_port(given, "READCAST_WORKER_METRICS_PORT", 6067),
    }
    if needs_broker(given):
        own["KAFKA_PORT"] = choose_port(given, "KAFKA_PORT", 9092)
        own["KAFKA_BOOTSTRAP_SERVERS"] = f"{HOST}:{own['KAFKA_PORT']}"
    return {**given, **own}


def needs_broker(given: Mapping[str, str]) -> bool:
    return not given.get("KAFKA_BOOTSTRAP_SERVERS")


def choose_port(given: Mapping[str, str], variable: str, default: int) -> str:
    """The user's port, where 0 is any; else the default one, else any free one."""
    wanted = given.get(variable)
    if wanted:
        if not wanted.isdecimal() or not is_free(int(wanted)):
            raise StartError(f"{variable}={wanted} can't be used: taken, or not a port.")
        return wanted if int(wanted) else str(free_port())
    if is_free(default):
        return str(default)
    chosen = free_port()
    console.print(f"[yellow]port {default} is taken: {variable}={chosen}[/]")
    return str(chosen)


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def start(parts: Parts, *, with_broker: bool) -> None:
    address = f"http://{HOST}:{parts.env['READCAST_GATEWAY_PORT']}"
    if with_broker:
        with step("broker", "the first start fetches Kafka"):
            parts.start("broker", COMMANDS["broker"])
            parts.wait(lambda: listens(int(parts.env["KAFKA_PORT"])), BROKER_SECONDS)
    with step("topics"):
        parts.run("topics", "exec faust -A streams topics")
    with step("worker and gateway"):
        parts.start("worker", COMMANDS["worker"])
        parts.start("gateway", COMMANDS["gateway"])
        parts.wait(lambda: answers(f"{address}/readyz"), GATEWAY_SECONDS)
    parts.show("demo", "exec python docker/local/demo.py")
    parts.start("authors", COMMANDS["authors"])
    console.print(welcome(parts, address))


@contextmanager
def step(name: str, hint: str = "") -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{name} ... [dim]{hint}[/]"):
        yield
    console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def answers(url: str) -> bool:
    try:
        with DIRECTLY.open(url, timeout=2):
            return True
    except OSError:
        return False


def welcome(parts: Parts, address: str) -> Panel:
    return Panel.fit(
        f"[bold]{address}[/]\n"
        "log in as alice, bob, carol, dave or erin\n\n"
        f"[bold]{address}/console[/]\n"
        "log in as olga or otto, and publish a notice to everybody\n\n"
        f"[dim]Kafka  {parts.env['KAFKA_BOOTSTRAP_SERVERS']}\n"
        f"logs   {parts.logs}\n"
        "Ctrl-C stops everything[/]",
        title="Readcast",
    )


if __name__ == "__main__":
    main()
