"""Whose rows this process needs."""

from __future__ import annotations


class Interest:
    """Told of each mailbox and user that is followed here. This one reads everything, and tells nobody."""

    def want(self, owner: str) -> None:
        """Somebody here follows a mailbox or user, from the next question on."""

    def release(self, owner: str) -> None:
        """One of them does no more."""

    async def announce(self, topic: str, partition: int) -> None:
        """Have it known in a partition of commands before the next one goes there; raises `Refused`."""


EVERYTHING = Interest()
"""Every row is read."""
