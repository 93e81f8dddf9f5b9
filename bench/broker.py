"""A broker of its own for each run: free ports, a fresh data folder, gone afterwards."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.paths import BUILD, PYTHON, ROOT
from bench.processes import Process, free_port, listens
from bench.topics import Topics

SCRIPT = ROOT / "docker/local/kafka.py"
START_SECONDS = 180  # the first start fetches the broker's jars


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker and the temporary folder of the run."""

    bootstrap: str
    folder: Path
    topics: Topics


@contextlib.contextmanager
def broker() -> Iterator[Broker]:
    """Start an Apache Kafka broker, give it, and stop it; the folder is kept if the run fails."""
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
    try:
        with running(folder) as fresh:
            yield fresh
    except Exception as error:
        error.add_note(f"logs of the run: {folder}")
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Broker]:
    port = free_port()
    ports = ["--port", str(port), "--controller-port", str(free_port())]
    command = [PYTHON, str(SCRIPT), "run", *ports, "--data", str(folder / "kafka")]
    with Process(command, folder / "kafka.log") as process:
        process.wait_until(lambda: listens(port), START_SECONDS)
        bootstrap = f"127.0.0.1:{port}"
        with contextlib.closing(Topics(bootstrap)) as topics:
            yield Broker(bootstrap, folder, topics)
