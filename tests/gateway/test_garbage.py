"""When garbage is collected: young cycles at once, old ones after many connections have ended."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway import garbage
from gateway.garbage import Garbage


class Cycle:
    """An object that only the collector frees."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def no_other_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_a_young_cycle_is_freed_at_once():
    left = weakref.ref(Cycle())
    Garbage().collect()
    assert left() is None


def test_an_old_cycle_is_freed_once_many_connections_have_ended():
    collector, old = Garbage(), Cycle()
    collector.collect()
    left = weakref.ref(old)
    del old
    for _ in range(garbage.ENDED - 1):
        collector.ended()
    collector.collect()
    assert left() is not None
    collector.ended()
    collector.collect()
    assert left() is None
