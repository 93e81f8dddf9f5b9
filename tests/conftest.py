"""The broker and the running system that tests share."""

import gc
import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import settings

from tests.processes import STARTED, Broker, System, kill_all, running, start_or_skip

settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

LOG_LINES_SHOWN = 40
log_sizes = pytest.StashKey[dict[str, int]]()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker: KAFKA_BOOTSTRAP_SERVERS, or one for this run."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with Broker(tmp_path_factory.mktemp("broker")) as process:
        start_or_skip(process)
        yield process.bootstrap


@pytest.fixture(scope="session")
def stack(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A worker and a gateway in demo mode, for all tests that don't break anything."""
    with running(broker, tmp_path_factory.mktemp("stack")) as system:
        yield system


def pytest_configure(config: pytest.Config) -> None:
    # SIGTERM takes the way of Ctrl-C, on which fixtures stop what they have started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        # A process of a parallel run that is interrupted has 10 s left.
        signal.signal(signal.SIGINT, kill_and_stop)
        signal.signal(signal.SIGTERM, kill_and_stop)


def kill_and_stop(number: int, frame: FrameType | None) -> None:
    kill_all()
    signal.default_int_handler(number, frame)


def pytest_collection_finish() -> None:
    # A table collects garbage when it closes: it need not look through all modules and tests.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[log_sizes] = {str(process.log): log_size(process.log) for process in STARTED}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed:
        before = item.stash.get(log_sizes, {})
        for process in STARTED:
            written = process.tail(LOG_LINES_SHOWN, before.get(str(process.log), 0))
            if written:
                report.sections.append((f"log of {process.name}", written))
    return report


def log_size(log) -> int:
    return log.stat().st_size if log.exists() else 0
