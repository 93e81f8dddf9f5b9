"""Parts that are started in another order than they need."""

import urllib.error
import urllib.request
from pathlib import Path

from tests.processes import HOST, Broker, System, ports, start_or_skip
from tests.waiting import eventually


def test_a_worker_waits_unready_for_the_broker_and_for_its_topics(tmp_path: Path):
    broker, port = Broker(tmp_path / "broker"), ports.take()

    def readiness() -> int:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=2) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with broker, System(broker.bootstrap, tmp_path) as system:
        worker = system.worker(READCAST_WORKER_METRICS_PORT=str(port))

        def says(what: str) -> bool:
            return worker.check() and what in worker.log.read_text()

        eventually(lambda: says("the broker does not answer yet"), "no broker")
        start_or_skip(broker)
        eventually(lambda: says("faust -A streams topics"), "no topics")
        assert readiness() == 503
        system.create_topics()
        eventually(lambda: readiness() == 200, "a worker that is ready")
        system.wait_ready()


def test_a_worker_waits_for_topics_with_as_many_partitions_as_it_is_told(
    broker: str, tmp_path: Path
):
    with System(broker, tmp_path) as system:
        system.create_topics()
        worker = system.worker(READCAST_PARTITIONS="9")
        eventually(
            lambda: (
                worker.check() and f"'{system.app_id}-user-commands': 8" in worker.log.read_text()
            ),
            "a worker that says how many there are",
        )
