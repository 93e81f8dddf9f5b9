"""A system for hostile records; one that a record has broken is replaced before the next test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.processes import System, running


@pytest.fixture(scope="module")
def targets(
    broker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], System]]:
    """targets(): a system in which everything runs."""
    with ExitStack() as started:
        systems: list[System] = []

        def target() -> System:
            if not (systems and systems[-1].healthy):
                started.close()
                folder = tmp_path_factory.mktemp("target")
                systems.append(started.enter_context(running(broker, folder)))
            return systems[-1]

        yield target


@pytest.fixture
def target(targets: Callable[[], System]) -> System:
    return targets()
