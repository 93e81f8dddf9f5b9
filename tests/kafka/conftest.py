"""A system for hostile records, so that nothing else is lost if it breaks."""

from collections.abc import Iterator

import pytest

from tests.processes import System, running


@pytest.fixture(scope="module")
def target(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(broker, tmp_path_factory.mktemp("target")) as system:
        yield system
