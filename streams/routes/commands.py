"""What gateways say to be forwarded to: that they are alive, and whose rows they want."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.ids import NAME, SYSTEM
from streams.schemas import MailboxCommand, MailboxName, Name, UserCommand
from tables.keys import GATEWAY

MAX_ROUTES = 100
"""Mailboxes or users that one announcement names: a command's rows are one record batch."""

GatewayName = Annotated[str, Meta(pattern=rf"^{GATEWAY}{NAME}\Z")]
Seconds = Annotated[int, Meta(ge=0, le=3_600)]
Number = Annotated[int, Meta(ge=0, le=100_000)]


class RenewLease(MailboxCommand, frozen=True, tag="lease"):
    """Begin or renew a gateway's lease in the partition that the record is sent to; 0 seconds: end it.

    partition: the gateway's own partition of the deliveries (null: the one that the fewest have).
    """

    mailbox: GatewayName
    seconds: Seconds
    partition: Number | None = None


class RenewUserLease(UserCommand, frozen=True, tag="lease"):
    """The same in a partition of users."""

    user: GatewayName
    seconds: Seconds
    partition: Number


class Announce(MailboxCommand, frozen=True, tag="announce"):
    """A gateway wants the rows of these mailboxes, or does no more; `mailbox` is the first of them."""

    gateway: Name
    mailboxes: Annotated[tuple[MailboxName, ...], Meta(min_length=1, max_length=MAX_ROUTES)]
    wanted: bool


class AnnounceUsers(UserCommand, frozen=True, tag="announce"):
    """The same of users; `user` is the first of them."""

    gateway: Name
    users: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_ROUTES)]
    wanted: bool


SWEEPER = f"{GATEWAY}nobody"
"""In whose name agents end what has run out: a lease of 0 seconds does nothing else."""

SWEEP = RenewLease(mailbox=SWEEPER, by=SYSTEM, seconds=0)
USER_SWEEP = RenewUserLease(user=SWEEPER, by=SYSTEM, seconds=0, partition=0)

AnyMailboxRouting = RenewLease | Announce
AnyUserRouting = RenewUserLease | AnnounceUsers
