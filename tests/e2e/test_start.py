"""Parts that are started in another order than they need, or can't be started as they are told."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.processes import (
    HOST,
    START_SECONDS,
    Broker,
    Process,
    System,
    Worker,
    ports,
    start_or_skip,
)
from tests.waiting import eventually


def readiness(port: int) -> tuple[int, int]:
    """Whether a worker is ready, as a status of HTTP, and how many partitions of commands it decides."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=2) as answer:
            return answer.status, json.load(answer)["lanes"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["lanes"]
    except OSError:
        return 0, 0


def test_a_worker_waits_unready_for_the_broker_and_for_its_topics(tmp_path: Path):
    broker, port = Broker(tmp_path / "broker"), ports.take()

    with broker, System(broker.bootstrap, tmp_path) as system:
        worker = system.worker(READCAST_WORKER_METRICS_PORT=str(port))

        def says(what: str) -> bool:
            return worker.check() and what in worker.log.read_text()

        eventually(lambda: says("the broker does not answer yet"), "no broker")
        start_or_skip(broker)
        eventually(lambda: says("faust -A streams topics"), "no topics")
        assert readiness(port) == (503, 0)
        system.create_topics()
        eventually(lambda: readiness(port) == (200, 16), "a worker that is ready")
        system.wait_ready()


def test_a_spare_worker_is_ready_and_says_that_it_decides_nothing(broker: str, tmp_path: Path):
    one = ports.take(2)
    other = one + 1
    with System(broker, tmp_path, READCAST_PARTITIONS="1") as system:
        system.create_topics()
        system.worker(READCAST_WORKER_METRICS_PORT=str(one))
        system.wait_ready()
        system.worker(READCAST_WORKER_METRICS_PORT=str(other))
        eventually(
            lambda: sorted(map(readiness, (one, other))) == [(200, 0), (200, 2)],
            "one has both partitions, the other none",
        )


def test_a_worker_waits_for_topics_with_as_many_partitions_as_it_is_told(
    broker: str, tmp_path: Path
):
    with System(broker, tmp_path) as system:
        system.create_topics()
        worker = system.worker(READCAST_PARTITIONS="9")
        eventually(
            lambda: (
                worker.check()
                and f"'{system.app_id}-user-commands': '8 partitions, not 9'"
                in worker.log.read_text()
            ),
            "a worker that says how many there are",
        )


def cannot_start(process: Process, code: int) -> str:
    """The end of the log of a process that leaves by itself, without a trace of its insides."""
    assert process.wait(START_SECONDS) == code
    said = process.tail()
    assert "Traceback" not in said
    assert "Unclosed" not in said
    return said


def test_a_worker_whose_port_is_taken_names_the_variable(broker: str, tmp_path: Path):
    with System(broker, tmp_path) as system, socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        worker = system.worker(READCAST_WORKER_METRICS_PORT=str(port))
        said = cannot_start(worker, 1)
        assert f"{HOST}:{port}" in said
        assert "READCAST_WORKER_METRICS_PORT" in said


def test_a_worker_in_the_folder_of_another_says_that_each_needs_its_own(
    broker: str, tmp_path: Path
):
    with System(broker, tmp_path) as system:
        first = system.worker()
        eventually(lambda: first.check() and "health and metrics" in first.log.read_text(), "up")
        second = Worker("second", tmp_path, first.env)
        second._command = first._command
        with second.start():
            said = cannot_start(second, 1)
        assert f"another worker uses {first.data}: each needs a folder of its own" in said
        assert first.check()


def test_a_worker_that_cannot_write_to_its_folder_names_it(broker: str, tmp_path: Path):
    (tmp_path / "file").touch()
    with System(broker, tmp_path) as system:
        folder = tmp_path / "file" / "tables"
        said = cannot_start(system.worker(folder=folder), 1)
        assert f"can't keep tables in {folder}: Not a directory" in said
        assert "--datadir" in said


def test_a_worker_makes_its_folder_and_those_above(broker: str, tmp_path: Path):
    with System(broker, tmp_path) as system:
        worker = system.worker(folder=tmp_path / "data" / "deep" / "worker")
        eventually(lambda: worker.check() and (worker.data / ".lock").exists(), "its folder")


@pytest.mark.parametrize(
    ("setting", "arguments"),
    [
        ("READCAST_GATEWAY_PORT", ()),
        ("READCAST_GATEWAY_PORT", ("--processes", "2")),
        ("READCAST_GATEWAY_METRICS_PORT", ()),
    ],
)
def test_a_gateway_whose_port_is_taken_names_the_variable(
    broker: str, tmp_path: Path, setting: str, arguments: tuple[str, ...]
):
    with System(broker, tmp_path) as system, socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        gateway = system.gateway(*arguments, **{setting: str(port)})
        said = cannot_start(gateway, 2)
        assert f"can't listen on {HOST}:{port}" in said
        assert setting in said


def test_variables_that_nothing_reads_are_told(broker: str, tmp_path: Path):
    wrong = {"READCAST_GATEWAY_FRAMERATE": "5", "READCAST_PARTITONS": "9", "READCAST_DATA": "data"}
    with System(broker, tmp_path, **wrong) as system:
        gateway, worker = system.gateway(), system.worker()

        def told(process: Process) -> str:
            lines = process.log.read_text().splitlines() if process.check() else []
            return next((line for line in lines if "nothing reads these variables" in line), "")

        by_gateway = eventually(lambda: told(gateway), "the gateway tells")
        assert "READCAST_GATEWAY_FRAMERATE" in by_gateway
        by_worker = eventually(lambda: told(worker), "the worker tells")
        assert "READCAST_GATEWAY_FRAMERATE" not in by_worker
        for line in (by_gateway, by_worker):
            assert "READCAST_PARTITONS" in line
            assert "READCAST_D" not in line
