"""Who takes part in a run, and what they do."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import msgspec

CLIENTS_PER_ADDRESS = 500
"""Half of what a gateway takes from one address by default, and far below its ports."""

OUR_ADDRESSES = 250
"""Of the loopback network, from 127.0.0.2 on."""


class Plan(msgspec.Struct, frozen=True):
    """One run. Client n is a member of the group it falls into; the first of each group owns it.

    url: `ws://host:port/ws`. secret: what tokens are signed with (HS256). run: makes names unique.
    sizes: members of each group. rate: messages/s in all, evenly at random over clients; or
    think: seconds that each client waits on average after a receipt before it sends (0: by rate).
    body_bytes: of a message. slow: share of clients that read for a moment once a second.
    restless: share that lose their connection every `restless_seconds` on average.
    send_seconds: how long a client tries to send a message. processes: to spread the clients over.
    """

    url: str
    secret: str
    run: str
    sizes: tuple[int, ...]
    rate: float = 100.0
    think: float = 0.0
    body_bytes: int = 200
    slow: float = 0.0
    restless: float = 0.0
    restless_seconds: float = 20.0
    send_seconds: float = 60.0
    processes: int = 2

    @property
    def clients(self) -> int:
        return sum(self.sizes)

    def user(self, number: int) -> str:
        """A client's name."""
        return f"{self.run}-{number}"

    def group(self, number: int) -> str:
        """The mailbox of the group with that number."""
        return f"group:{self.run}-{number}"

    def group_of(self, client: int) -> int:
        """The group that a client is in."""
        return bisect_right(list(accumulate(self.sizes)), client)

    def members(self, group: int) -> range:
        """The clients in a group, its owner first."""
        first = sum(self.sizes[:group])
        return range(first, first + self.sizes[group])

    def clients_of(self, process: int) -> range:
        """The clients that a process runs."""
        return range(process, self.clients, self.processes)

    def source(self, client: int) -> str | None:
        """The address a client connects from: one of many where the gateway is on this machine."""
        if not self.url.startswith(("ws://127.", "ws://localhost")):
            return None
        addresses = min(OUR_ADDRESSES, self.clients // CLIENTS_PER_ADDRESS + 1)
        return f"127.0.0.{2 + client % addresses}"

    def is_slow(self, client: int) -> bool:
        return share(client, self.slow)

    def is_restless(self, client: int) -> bool:
        """Chosen apart from the slow ones."""
        return share(client + 1, self.restless)


def share(client: int, part: float) -> bool:
    """Whether a client belongs to an evenly spread part of all."""
    return int((client + 1) * part) > int(client * part)


def sizes(text: str) -> tuple[int, ...]:
    """`100x10,2x500`: a hundred groups of ten and two of five hundred."""
    groups: list[int] = []
    for part in text.split(","):
        count, _, size = part.partition("x")
        groups += [int(size)] * int(count)
    if not groups or min(groups) < 1:
        raise ValueError(f"no groups in {text!r}: say for instance 100x10,2x500")
    return tuple(groups)
