"""Which rows of a log go to which gateways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from streams.ids import AUTHOR, PUBLIC
from streams.routes.rules import Routes
from tables.journal import Entry
from tables.keys import parse_key
from tables.rows import position_header

KEY_HEADER = "key"
"""The header of a delivery that carries the row's key; the one named as the log carries the partition."""

EVERYBODY = "*"

Audience = Callable[[bytes], str | None]
"""Whose routes say where a row goes, by its key: an owner's, `EVERYBODY` for all leases, or None for nowhere."""


class Delivery(NamedTuple):
    """A row on its way to one gateway. `value` None: the row is removed."""

    gateway: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


def mailbox_audience(key: bytes) -> str | None:
    """Gateways show publishes to everybody, of authors the posts, and of other mailboxes all there is."""
    owner, kind, _ = parse_key(key)
    if owner.startswith(PUBLIC):
        return EVERYBODY if kind == "m" else None
    if owner.startswith(AUTHOR):
        return owner if kind == "m" else None
    return owner if kind in ("m", "s", "u") else None


def user_audience(key: bytes) -> str | None:
    """Cursors and follows; what is in an inbox is asked for."""
    owner, kind, _ = parse_key(key)
    return owner if kind in ("c", "f") else None


def deliveries(
    routes: Routes, log: str, partition: int, audience: Audience, entries: Iterable[Entry]
) -> dict[int, list[Delivery]]:
    """The deliveries of some rows of a log's partition, in their order, by partition of the deliveries."""
    leases = routes.leases()
    found: defaultdict[int, list[Delivery]] = defaultdict(list)
    if not leases:
        return found
    source = (log, b"%d" % partition)
    for entry in entries:
        owner = audience(entry.key)
        if owner is None:
            continue
        headers = [source, (KEY_HEADER, entry.key)]
        if entry.value is None:
            headers.append(position_header(entry.at))
        for gateway in leases if owner == EVERYBODY else routes.gateways(owner):
            lease = leases.get(gateway)
            if lease is not None:
                found[lease.partition].append(Delivery(gateway.encode(), entry.value, headers))
    return found
