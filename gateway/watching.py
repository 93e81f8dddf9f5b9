"""Who gets what from when on: sync, watch, resume, and being added or removed.

Common to all: register interest, then ask, then attach in one step of the loop, so that what was
delivered before, what is delivered now and what comes live fit together without a hole.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, NamedTuple

import structlog

from gateway import notices, wire
from gateway.answers import History
from gateway.boards import Boards
from gateway.boxes import Box, User
from gateway.channel import Channel
from gateway.errors import unavailable
from gateway.hub import Hub
from gateway.loader import Loader, Opening
from gateway.metrics import Metrics
from gateway.session import Session
from gateway.settings import Settings
from gateway.touching import Touching
from gateway.turns import Turns
from gateway.watch import Mode
from streams.errors import Code, Refused

log = structlog.get_logger()

RETRY_SECONDS = 0.5
"""Pause before it is asked again whether a user is in a mailbox."""

KINDS = ("group", "direct", "user", "public")
"""The kinds of mailboxes that `sync` counts apart."""


class Missed(NamedTuple):
    """Events that a session lacks, and the place and seq of the ring after them."""

    events: list[bytes]
    place: int
    seq: int


class Watching:
    """Starts and ends watches."""

    def __init__(
        self,
        loader: Loader,
        hub: Hub,
        boards: Boards,
        touching: Touching,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._loader = loader
        self._boards = boards
        self._touching = touching
        self._hub = hub
        self._settings = settings
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()

    async def sync(self, session: Session, frame: wire.Sync) -> None:
        """Answer with all mailboxes of the user, and watch them from the heads it names."""
        user = session.user
        if frame.mode is not None:
            # Resumed mailboxes are watched live; how they are watched from then on is said here.
            for mailbox in list(session.resuming):
                await session.resumed(mailbox)
        await self._loader.load(user)
        while user.admitting:
            _, waiting = await asyncio.wait(
                user.admitting.values(), timeout=self._settings.request_seconds
            )
            if waiting:
                raise unavailable("a mailbox that you have joined is being read; try again")
            await self._loader.load(user)
        self._boards.check()
        self._announce(user, [one for one in user.synced if one is not session])
        is_first, session.synced = not session.synced, True
        if frame.mode is not None:
            session.mode = Mode(frame.mode)
        listed = [
            *(
                (_newest(box), self._entry(session, box, keep=frame.mode is None))
                for box in user.boxes.values()
                if box.is_listed
            ),
            *notices.sync_entries(self._boards, user),
        ]
        listed.sort(key=lambda entry: entry[0], reverse=True)
        entries = [entry for _, entry in listed]
        session.emit(wire.event("sync", frame.ref, mailboxes=entries, unread=_by_kind(entries)))
        if is_first:
            self._touching.synced(session)

    async def watch(self, session: Session, frame: wire.Watch, opening: Opening) -> None:
        """Watch one mailbox as asked."""
        async with self._turns.of(session, frame.mailbox):
            await self._loader.finish(opening)
            await session.resumed(frame.mailbox)
        box = self.readable(session.user, frame.mailbox)
        mode = Mode(frame.mode)
        self._start(session, box, mode)
        channel = box.channel
        session.emit(
            wire.event(
                "watching",
                frame.ref,
                mailbox=frame.mailbox,
                epoch=channel.epoch,
                head=channel.head,
                mode=mode,
            )
        )

    async def unwatch(self, session: Session, frame: wire.Watch) -> None:
        """Watch one mailbox no more."""
        async with self._turns.of(session, frame.mailbox):
            await session.resumed(frame.mailbox)
        session.unwatch(frame.mailbox)
        box = session.user.boxes.get(frame.mailbox)
        is_known = box is not None and box.known and box.is_member
        epoch, head = (box.channel.epoch, box.channel.head) if box and is_known else ("", 0)
        session.emit(
            wire.event(
                "watching", frame.ref, mailbox=frame.mailbox, epoch=epoch, head=head, mode="off"
            )
        )

    async def resume(
        self,
        session: Session,
        places: dict[str, tuple[str, int]],
        opening: Opening,
        ref: wire.Ref,
    ) -> None:
        """Deliver what was missed after each place (epoch, seq), some mailboxes at a time."""
        at_once = asyncio.Semaphore(self._settings.resume_parallel)

        async def one(mailbox: str, epoch: str, seq: int) -> None:
            async with at_once:
                try:
                    await self._resume(session, mailbox, epoch, seq)
                except Refused as error:
                    session.refuse(error, ref, mailbox)
                finally:
                    session.resuming.pop(mailbox).set_result(None)

        while before := session.resuming.keys() & places.keys():
            await session.resumed(before.pop())
        session.resuming |= {mailbox: self._loop.create_future() for mailbox in places}
        try:
            await self._loader.finish(opening)
        except Refused as error:
            for mailbox in places:
                session.resuming.pop(mailbox).set_result(None)
            session.refuse_each(error, ref, places)
            return
        await asyncio.gather(*(one(mailbox, *place) for mailbox, place in places.items()))

    def needs_facts(self, user: User, mailbox: str, seq: int) -> bool:
        """Whether a resume must ask first: the mailbox is unknown, or `seq` ahead of our log."""
        box = user.boxes.get(mailbox)
        return box is None or not box.known or not box.channel.is_live or seq > box.channel.head

    def readable(self, user: User, mailbox: str) -> Box:
        """The user's box, or a refusal that says why there is none."""
        box = user.boxes.get(mailbox)
        if box is None or not box.known or not box.channel.is_live:
            raise unavailable("the mailbox is being read anew; try again")
        if box.is_member:
            return box
        self._loader.forget(user, mailbox)
        if not box.exists:
            raise Refused(Code.NOT_FOUND, f"there is no mailbox {mailbox}")
        raise Refused(Code.NOT_MEMBER, f"you are not in {mailbox}")

    def added(self, user: User, mailbox: str) -> None:
        """The user is in a mailbox now: tell their sessions, and watch it for those that sync."""
        box, task = user.boxes.get(mailbox), user.admitting.get(mailbox)
        if not user.sessions or (task and not task.done()) or (box and box.announced):
            return
        task = user.admitting[mailbox] = asyncio.create_task(self._admit(user, mailbox))
        task.add_done_callback(partial(_admitted, user, mailbox))

    def removed(self, user: User, mailbox: str) -> None:
        """The user is out of a mailbox: what came before is still delivered, nothing after."""
        box = user.boxes.get(mailbox)
        epoch, head = (box.channel.epoch, box.channel.head) if box else ("", 0)
        event = wire.event("left", mailbox=mailbox, members=[user.name], epoch=epoch, head=head)
        for session in user.sessions:
            session.unwatch(mailbox, flush=True)
            session.emit(event)
        self._loader.forget(user, mailbox)

    async def _resume(self, session: Session, mailbox: str, epoch: str, seq: int) -> None:
        box = self.readable(session.user, mailbox)
        channel = box.channel
        if not channel.history:
            # The ring is everybody's: what was sent before they joined is not for them.
            seq = max(seq, box.joined)
        with self._hub.held(channel):
            session.unwatch(mailbox)
            missed = await self._missed(box, epoch, seq)
            _check_stayed(session.user, box)
            self._check_room(session, mailbox)
            recovered = missed is not None and self._fits(session, missed.events)
            if missed is None or not recovered:
                missed = Missed([], channel.ring.end, channel.head)
            session.attach(
                box, Mode.LIVE, missed.place, missed.seq, acked=seq if recovered else None
            )
        self._metrics.resumes.labels("yes" if recovered else "no").inc()
        session.emit(
            *missed.events,
            wire.resumed_event(mailbox, channel.epoch, missed.seq, recovered=recovered),
        )

    async def _missed(self, box: Box, epoch: str, seq: int) -> Missed | None:
        """What came after `seq`, all of it; None if that can't be had."""
        channel = box.channel
        if epoch != channel.epoch or seq > max(channel.head, channel.known_head):
            return None
        if seq > channel.head:
            await self._catch_up(channel, seq)
        ring = channel.ring
        if channel.head - seq > self._settings.resume_messages:
            return None
        if ring.covers(seq):
            return Missed(ring.rest(ring.place_after(seq)), ring.end, ring.head)
        return await self._pull(box, seq, Missed([], ring.end, ring.head))

    @property
    def _resume_bytes(self) -> int:
        """How much may be missed, so that the outbox has room for other answers."""
        return self._settings.outbox_bytes // 2

    def _fits(self, session: Session, events: list[bytes]) -> bool:
        """Whether it is not too much with what waits for the session, of other mailboxes for instance."""
        return session.outlet.size + sum(map(len, events)) <= self._resume_bytes

    async def _catch_up(self, channel: Channel, seq: int) -> None:
        """Wait for the log to bring what the facts have already told of."""
        try:
            await asyncio.wait_for(channel.reaches(seq), self._settings.request_seconds)
        except TimeoutError:
            raise unavailable("the gateway's log is behind; try again") from None

    async def _pull(self, box: Box, seq: int, upto: Missed) -> Missed | None:
        """The messages after `seq` up to where the ring takes over, from the agent's table."""
        mailbox, after, size = box.channel.mailbox, seq, 0
        while True:
            try:
                page = await self._loader.history(box.user, mailbox, after, upto.seq - after)
            except Refused as error:
                log.warning("history for a resume failed", mailbox=mailbox, error=error.message)
                return None
            if page.epoch != box.channel.epoch:
                return None
            upto.events.extend(self._page_events(page, upto.seq, with_recalled=after == seq))
            size = sum(map(len, upto.events))
            if size > self._resume_bytes:
                return None
            after = page.messages[-1].seq if page.messages else upto.seq
            if not page.more or after >= upto.seq:
                return upto

    def _page_events(self, page: History, upto: int, *, with_recalled: bool) -> list[bytes]:
        mailbox = page.mailbox
        recalled = page.recalled if with_recalled else []
        events = [wire.recalled_event(mailbox, seq, None) for seq in recalled]
        return events + [
            wire.message_event(mailbox, row) for row in page.messages if row.seq <= upto
        ]

    async def _admit(self, user: User, mailbox: str) -> None:
        """Ask, and welcome the user, until it is answered whether they are in."""
        channel = self._hub.channel(mailbox)
        with self._hub.held(channel):
            while user.sessions:
                src = user.joined_by(mailbox)
                try:
                    user.box(channel)
                    await self._loader.finish(await self._loader.open(user, [mailbox]))
                    box = self.readable(user, mailbox)
                    missed = await self._since_joined(box)
                    _check_stayed(user, box)
                    self._welcome(list(user.sessions), box, missed)
                    break
                except Refused as error:
                    log.info("not admitted", mailbox=mailbox, error=error.message)
                    if error.code is not Code.UNAVAILABLE and src == user.joined_by(mailbox):
                        break
                await asyncio.sleep(RETRY_SECONDS)
        if not user.sessions:
            self._loader.forget(user, mailbox)

    async def _since_joined(self, box: Box) -> Missed:
        """The messages between joining and now: they may have come before we looked."""
        channel = box.channel
        now = Missed([], channel.ring.end, channel.head)
        live = (self._mode(session, channel) is Mode.LIVE for session in box.user.synced)
        if not any(live) or box.joined >= channel.head:
            return now
        return await self._missed(box, channel.epoch, box.joined) or now

    def _announce(self, user: User, others: list[Session]) -> None:
        """Tell the other sessions of what `sync` is about to list, where no row has told them yet."""
        for box in list(user.boxes.values()) if others else ():
            if box.is_listed and not box.announced:
                self._welcome(others, box, Missed([], box.channel.ring.end, box.channel.head))

    def _welcome(self, sessions: list[Session], box: Box, missed: Missed) -> None:
        channel = box.channel
        box.announced = True
        first = box.joined if missed.events else missed.seq
        event = wire.event(
            "joined",
            mailbox=channel.mailbox,
            members=[box.user.name],
            epoch=channel.epoch,
            head=first,
        )
        for session in sessions:
            session.emit(event)
            known = channel.mailbox in session.watches or channel.mailbox in session.resuming
            if not session.synced or known or not session.may_watch():
                continue
            mode = self._mode(session, channel)
            if mode is Mode.LIVE:
                session.attach(box, mode, missed.place, missed.seq, acked=first)
                session.emit(*missed.events)
            else:
                session.attach(box, mode, missed.place, first)

    def _entry(self, session: Session, box: Box, *, keep: bool) -> dict[str, object]:
        """What `sync` says of a mailbox; `keep`: what is watched already stays as it is."""
        channel = box.channel
        box.announced = True
        watch = session.watches.get(channel.mailbox)
        mode = self._mode(session, channel)
        if watch is not None and keep:
            mode = watch.mode
        elif channel.mailbox in session.resuming:
            # Watched from here on, what comes now would come before what was missed.
            mode = Mode.LIVE
        elif not self._try_start(session, box, mode):
            mode = Mode.OFF
        last = box.last
        return {
            "mailbox": channel.mailbox,
            "epoch": channel.epoch,
            "head": channel.head,
            "read": box.read,
            "unread": box.unread(),
            "last": wire.message_fields(last) if last else None,
            "members": channel.members,
            "role": box.role,
            "mode": mode,
            "closed": channel.closed,
        }

    def _try_start(self, session: Session, box: Box, mode: Mode) -> bool:
        if box.channel.mailbox in session.watches or session.may_watch():
            self._start(session, box, mode)
            return True
        return False

    def _start(self, session: Session, box: Box, mode: Mode) -> None:
        channel = box.channel
        watch = session.watches.get(channel.mailbox)
        if watch is not None and watch.mode is mode:
            return
        self._check_room(session, channel.mailbox)
        session.attach(box, mode, channel.ring.end, channel.head)

    def _check_room(self, session: Session, mailbox: str) -> None:
        if mailbox not in session.watches and not session.may_watch():
            message = f"a connection watches at most {self._settings.watched} mailboxes"
            raise Refused(Code.FORBIDDEN, message)

    def _mode(self, session: Session, channel: Channel) -> Mode:
        """How a session watches what it has not chosen a mode for."""
        if session.mode is not None:
            return session.mode
        return Mode.NOTIFY if channel.members > self._settings.notify_above else Mode.LIVE


def _admitted(user: User, mailbox: str, task: asyncio.Task[None]) -> None:
    # In the same turn of the loop they may have joined once more.
    if user.admitting.get(mailbox) is task:
        del user.admitting[mailbox]


def _check_stayed(user: User, box: Box) -> None:
    """Refuse to go on for somebody who has left the mailbox while it was asked for."""
    if user.boxes.get(box.channel.mailbox) is not box:
        raise unavailable("you have left the mailbox meanwhile; try again")


def _newest(box: Box) -> tuple[int, str]:
    last = box.channel.last
    return (last.ts if last else 0, box.channel.mailbox)


def _by_kind(entries: list[dict[str, Any]]) -> dict[str, int]:
    """The sum of what is unread in the mailboxes of each kind."""
    sums = dict.fromkeys(KINDS, 0)
    for entry in entries:
        sums[entry["mailbox"].partition(":")[0]] += entry["unread"]
    return sums
