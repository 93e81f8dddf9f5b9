"""What each client operation does: most are a command to Kafka and an event for its answer."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from gateway import shows, wire
from gateway.auth import Tokens
from gateway.boxes import User, Users
from gateway.errors import CloseCode, Disconnect
from gateway.feed_operations import FeedOperations
from gateway.hub import Hub
from gateway.limits import Connections
from gateway.loader import Loader
from gateway.outlet import cursor_event
from gateway.public_operations import PublicOperations
from gateway.pulse import Pulse
from gateway.requests import Answer, Requests
from gateway.session import Handle, Session
from gateway.settings import Settings
from gateway.timeline import Timelines
from gateway.watching import Watching
from streams import commands
from streams.errors import Code, Refused
from streams.ids import MailboxId, parse_mailbox
from streams.schemas import MailboxCommand

_Command = TypeVar("_Command", bound=MailboxCommand)


class Operations:
    """Handles the frames of all sessions."""

    def __init__(
        self,
        requests: Requests,
        loader: Loader,
        watching: Watching,
        timelines: Timelines,
        hub: Hub,
        users: Users,
        public: PublicOperations,
        feeds: FeedOperations,
        tokens: Tokens,
        connections: Connections,
        pulse: Pulse,
        settings: Settings,
    ) -> None:
        self._requests = requests
        self._loader = loader
        self._watching = watching
        self._timelines = timelines
        self._hub = hub
        self._users = users
        self._public = public
        self._feeds = feeds
        self._tokens = tokens
        self._connections = connections
        self._pulse = pulse
        self._settings = settings
        self._ask = partial(shows.ask, requests)
        handlers: dict[type[wire.Frame], Handle] = {
            wire.Ping: self._ping,
            wire.Sync: self._sync,
            wire.Create: self._create,
            wire.Join: self._join,
            wire.Leave: self._leave,
            wire.ListMembers: self._members,
            wire.Send: self._send,
            wire.Watch: self._watch,
            wire.History: self._history,
            wire.Ack: self._ack,
            wire.Read: self._move,
            wire.Unread: self._move,
            wire.Recall: self._recall,
            wire.Role: self._manage,
            wire.Mute: self._manage,
            wire.ChangePolicy: self._manage,
            wire.Close: self._manage,
            wire.Trim: self._manage,
            **public.handlers,
            **feeds.handlers,
        }
        self._handlers = {
            kind: _for_operators(handle) if issubclass(kind, wire.OperatorFrame) else handle
            for kind, handle in handlers.items()
        }

    async def hello(self, session: Session, frame: wire.Hello) -> None:
        """Let a client in, or renew the time of one that is in; then resume its mailboxes."""
        identity = self._tokens.verify(frame.token) if frame.token else session.identity
        if identity is None:
            raise Disconnect(CloseCode.BAD_TOKEN, "hello needs a token")
        if not frame.names_only(identity.user):
            raise Refused(Code.FORBIDDEN, "a frame may only name the token's user")
        if not session.is_known:
            self._enter(session, identity.user)
        elif identity.user != session.user.name:
            raise Refused(Code.FORBIDDEN, "a session stays its user's; connect anew for another")
        session.renew(identity)
        self._public.claims_changed(session)
        if frame.ack:
            session.outlet.acks = True
            self._pulse.expect_acks(session)
        if frame.chunks:
            session.take_chunks()
        session.emit(self._welcome(session, frame))
        await self._resume(session, frame)

    async def handle(self, session: Session, frame: wire.AnyFrame) -> None:
        """Handle a frame of a client that is in."""
        if isinstance(frame, wire.MailboxFrame):
            _parsed(frame.mailbox)
        await self._handlers[type(frame)](session, frame)

    def left(self, session: Session) -> None:
        """A session has ended."""
        self._public.left(session)
        self._feeds.left(session)
        if session.is_known:
            self._connections.leave(session.user.name)
            for channel in self._users.leave(session, session.user):
                self._hub.release(channel)

    def _enter(self, session: Session, name: str) -> None:
        if not self._connections.enter(name):
            message = f"at most {self._settings.connections_per_user} connections of one user"
            session.refuse(Refused(Code.RATE_LIMITED, message, retry_after=30.0))
            raise Disconnect(CloseCode.CROWDED, message)
        user = self._users.enter(session, name)
        session.belong(user)
        self._loader.load_cursors(user)

    def _welcome(self, session: Session, frame: wire.Hello) -> bytes:
        settings = self._settings
        limits = {
            "body_bytes": settings.body_bytes,
            "publish_bytes": settings.publish_bytes,
            "frame_bytes": settings.frame_bytes,
            "chunk_bytes": settings.chunk_bytes,
            "assembly_bytes": settings.assembly_bytes,
            "frames_per_second": settings.frame_rate,
            "frames_at_once": settings.frame_burst,
            "watched": settings.watched,
            "requests": settings.requests_per_session,
            "resume_messages": settings.resume_messages,
        }
        return wire.event(
            "welcome",
            frame.ref,
            user=session.user.name,
            session=session.id,
            limits=limits,
            heartbeat_ms=int(settings.heartbeat_seconds * 1_000),
        )

    async def _resume(self, session: Session, frame: wire.Hello) -> None:
        if len(frame.since) > self._settings.watched:
            message = f"at most {self._settings.watched} mailboxes in `since`"
            raise Refused(Code.BAD_REQUEST, message)
        user, places = session.user, {}
        for mailbox, place in frame.since.items():
            try:
                _check_reach(user, mailbox)
                places[mailbox] = place
            except Refused as error:
                session.refuse(error, frame.ref, mailbox)
        unsure = [
            name for name, (_, seq) in places.items() if self._watching.needs_facts(user, name, seq)
        ]
        if not places:
            return
        try:
            opening = await self._loader.ask(user, unsure)
            resume = self._watching.resume(session, places, opening, frame.ref)
            session.spawn(resume, frame.ref)
        except Refused as error:
            session.refuse_each(error, frame.ref, places)

    async def _ping(self, session: Session, frame: wire.Ping) -> None:
        session.emit(wire.event("pong", frame.ref))

    async def _sync(self, session: Session, frame: wire.Sync) -> None:
        session.spawn(self._watching.sync(session, frame), frame.ref)

    async def _watch(self, session: Session, frame: wire.Watch) -> None:
        if frame.mode == "off":
            session.spawn(self._watching.unwatch(session, frame), frame.ref)
            return
        _check_reach(session.user, frame.mailbox)
        opening = await self._loader.open(session.user, [frame.mailbox])
        session.spawn(self._watching.watch(session, frame, opening), frame.ref)

    async def _ack(self, session: Session, frame: wire.Ack) -> None:
        session.ack(frame.mailbox, frame.seq)

    async def _send(self, session: Session, frame: wire.Send) -> None:
        wire.check_body(bytes(frame.body), self._settings.body_bytes)
        command = commands.Send(
            mailbox=frame.mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            id=frame.id,
            body=frame.body,
        )
        await self._ask(session, frame, command, partial(shows.sent, frame.mailbox, frame.ref))

    async def _create(self, session: Session, frame: wire.Create) -> None:
        command = self._command(commands.Create, session, frame)
        await self._ask(
            session, frame, command, partial(self._show_named, session, "created", frame)
        )

    async def _join(self, session: Session, frame: wire.Join) -> None:
        command = self._command(commands.Join, session, frame)
        await self._ask(
            session, frame, command, partial(self._show_named, session, "joined", frame)
        )

    async def _leave(self, session: Session, frame: wire.Leave) -> None:
        command = self._command(commands.Leave, session, frame)
        await self._ask(session, frame, command, partial(shows.named, "left", frame))

    async def _members(self, session: Session, frame: wire.ListMembers) -> None:
        command = commands.Query(
            mailbox=frame.mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            what="members",
            after_member=frame.after,
            limit=frame.limit,
        )
        await self._ask(session, frame, command, partial(shows.passed, "members", frame))

    async def _history(self, session: Session, frame: wire.History) -> None:
        mailbox = frame.mailbox
        if mailbox is None:
            session.spawn(self._timeline(session, frame), frame.ref)
            return
        _check_reach(session.user, mailbox)
        if frame.place is not None:
            raise Refused(Code.BAD_REQUEST, "in a mailbox there is only `after` and `before`")
        if frame.after is not None and frame.before is not None:
            raise Refused(Code.BAD_REQUEST, "there is `after` or `before`, not both")
        command = commands.Query(
            mailbox=mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            what="history",
            after=frame.after,
            before=frame.before,
            limit=frame.limit,
        )
        await self._ask(session, frame, command, partial(shows.history, mailbox, frame.ref))

    async def _timeline(self, session: Session, frame: wire.History) -> None:
        if frame.after is not None or frame.before is not None:
            raise Refused(Code.BAD_REQUEST, "without a mailbox there is only `place`")
        page = await self._timelines.page(session, frame.place, frame.limit)
        session.emit(shows.timeline(frame.ref, page))

    async def _recall(self, session: Session, frame: wire.Recall) -> None:
        command = self._command(commands.Recall, session, frame)
        await self._ask(session, frame, command, partial(shows.recalled, frame, command.by))

    async def _manage(self, session: Session, frame: wire.CommandFrame) -> None:
        """The operations that are a command of the same name and fields."""
        command = self._command(_managed[type(frame)], session, frame)
        await self._ask(session, frame, command, partial(shows.done, frame))

    async def _move(self, session: Session, frame: wire.Read | wire.Unread) -> None:
        user = session.user
        _check_reach(user, frame.mailbox)
        box = user.boxes.get(frame.mailbox)
        if box is not None and box.known and box.channel.is_live and user.has_cursors:
            await self._move_known(session, frame)
        else:
            session.spawn(self._move_unknown(session, frame), frame.ref)

    async def _move_unknown(self, session: Session, frame: wire.Read | wire.Unread) -> None:
        opening = await self._loader.open(session.user, [frame.mailbox])
        await self._loader.finish(opening)
        await self._move_known(session, frame)

    async def _move_known(self, session: Session, frame: wire.Read | wire.Unread) -> None:
        user = session.user
        box = self._watching.readable(user, frame.mailbox)
        kind = commands.Read if isinstance(frame, wire.Read) else commands.Unread
        command = kind(
            user=user.name,
            by=user.name,
            reply=self._requests.address(),
            mailbox=frame.mailbox,
            seq=min(frame.seq, box.channel.head),
        )

        def show(answer: Answer) -> list[bytes]:
            return [cursor_event(box, frame.ref, shows.read_of(answer))]

        await self._ask(session, frame, command, show)

    def _command(
        self, kind: type[_Command], session: Session, frame: wire.CommandFrame
    ) -> _Command:
        return frame.as_command(kind, session.user.name, self._requests.address())

    def _show_named(
        self, session: Session, op: str, frame: wire.Create | wire.Join, answer: Answer
    ) -> list[bytes]:
        """Show who is in; the user at once, not only when the log says so: a sync may follow."""
        members = shows.members_of(answer)
        if session.user.name in members or isinstance(frame, wire.Create):
            self._watching.added(session.user, frame.mailbox)
        return shows.named(op, frame, answer)


_managed: dict[type[wire.CommandFrame], type[MailboxCommand]] = {
    wire.Role: commands.Role,
    wire.Mute: commands.Mute,
    wire.ChangePolicy: commands.ChangePolicy,
    wire.Close: commands.Close,
    wire.Trim: commands.Trim,
}


def _for_operators(handle: Handle) -> Handle:
    """Let only operators through."""

    async def checked(session: Session, frame: Any) -> None:
        if not session.is_operator:
            raise Refused(Code.FORBIDDEN, "this takes a token with the role `operator`")
        await handle(session, frame)

    return checked


def _check_reach(user: User, mailbox: str) -> None:
    """Refuse mailboxes that can't be the user's, whatever the facts are."""
    kind, name = parsed = _parsed(mailbox)
    if kind == "public":
        raise Refused(Code.FORBIDDEN, "a public mailbox comes as notices: see `notices`, `open`")
    if (kind == "user" and name != user.name) or (
        kind == "direct" and user.name not in parsed.pair
    ):
        raise Refused(Code.NOT_MEMBER, f"you are not in {mailbox}")


def _parsed(mailbox: str) -> MailboxId:
    """Take apart a mailbox that clients may name; outboxes are none of these."""
    try:
        parsed = parse_mailbox(mailbox)
    except ValueError as error:
        raise Refused(Code.BAD_REQUEST, str(error)) from None
    if parsed.kind == "author":
        raise Refused(Code.FORBIDDEN, "an author's posts come with `feed`: see `follow`, `post`")
    return parsed
