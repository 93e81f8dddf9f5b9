"""Gateways that a test may stop, kill and start again."""

from collections.abc import Callable, Iterator

import pytest

from tests.processes import Gateway, System


@pytest.fixture
def own_gateway(stack: System) -> Iterator[Callable[..., Gateway]]:
    """own_gateway(**settings): one more gateway, for a test that stops it."""
    started: list[Gateway] = []

    def start(**settings: str) -> Gateway:
        started.append(stack.gateway(**settings))
        return started[-1].wait_ready()

    yield start
    for gateway in started:
        gateway.stop()
