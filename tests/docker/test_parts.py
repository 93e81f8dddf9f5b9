"""Starting and stopping what `make run` runs: docker/local/parts.py."""

import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, Process
from tests.waiting import eventually

SAYS_WHEN_IT_ENDS = (
    "trap 'echo {0} >> ended; exit' TERM; echo > {0}.up; while :; do sleep 0.05; done"
)
IGNORES_SIGTERM = "trap '' TERM; echo $$ > {0}.up; while :; do sleep 0.05; done"


class Runner(Process):
    """A process that starts parts, one after the other, and waits."""

    def __init__(self, folder: Path, commands: dict[str, str]) -> None:
        program = f"""
            import os, sys
            from pathlib import Path
            sys.path.insert(0, {str(ROOT / "docker/local")!r})
            from parts import Parts, StartError
            try:
                with Parts(Path({str(folder)!r}), dict(os.environ), Path("logs")) as parts:
                    for name, command in {commands!r}.items():
                        parts.start(name, command)
                        parts.wait(lambda: Path(f"{{name}}.up").exists())
                    Path("all.up").touch()
                    parts.wait(lambda: False)
            except KeyboardInterrupt:
                sys.exit("asked to stop")
            except StartError as error:
                sys.exit(str(error))
        """
        setup = f"import os; os.chdir({str(folder)!r})\n"
        command = [sys.executable, "-c", setup + textwrap.dedent(program)]
        super().__init__("runner", command, folder / "runner.log", {})
        self.folder = folder

    def up(self) -> "Runner":
        self.start()
        eventually(lambda: self.check() and (self.folder / "all.up").exists(), "all parts run")
        return self

    def interrupt(self) -> None:
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGINT)

    def ended(self) -> bool:
        return not self.running


@pytest.fixture
def runner(tmp_path: Path) -> Iterator:
    started: list[Runner] = []

    def start(**commands: str) -> Runner:
        ready = {name: command.format(name) for name, command in commands.items()}
        started.append(Runner(tmp_path, ready))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_stops_the_last_started_first(runner, tmp_path):
    names = ("broker", "worker", "gateway")
    process = runner(**dict.fromkeys(names, SAYS_WHEN_IT_ENDS)).up()
    process.interrupt()
    eventually(process.ended, "the runner ends")
    assert (tmp_path / "ended").read_text().split() == ["gateway", "worker", "broker"]


def test_a_signal_that_arrives_twice_at_once_is_one(runner, tmp_path):
    process = runner(worker=SAYS_WHEN_IT_ENDS).up()
    process.interrupt()
    process.interrupt()
    eventually(process.ended, "the runner ends")
    assert (tmp_path / "ended").read_text().split() == ["worker"]


def test_a_second_request_to_stop_kills(runner, tmp_path):
    process = runner(worker=IGNORES_SIGTERM).up()
    pid = int((tmp_path / "worker.up").read_text())

    def ended_by_more_requests() -> bool:
        process.interrupt()
        return process.ended()

    eventually(ended_by_more_requests, "the runner ends", within=5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_part_that_ends_stops_the_others_and_shows_its_log(runner, tmp_path):
    broken = "echo > {0}.up; echo no disk; sleep 0.3; exit 3"
    process = runner(broker=SAYS_WHEN_IT_ENDS, worker=broken).start()
    eventually(process.ended, "the runner ends")
    assert process.stop() == 1
    assert "worker ended with code 3" in process.tail()
    assert "no disk" in process.tail()
    assert (tmp_path / "ended").read_text().split() == ["broker"]
