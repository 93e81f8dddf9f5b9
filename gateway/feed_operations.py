"""What the client operations of feeds do: posts, followers, and pages."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from msgspec.structs import replace

from gateway import shows, wire
from gateway.feed_pages import Page, Pages
from gateway.feed_sources import MAX_FOLLOWS, FeedSources
from gateway.feeds import Feeds
from gateway.requests import Answer, Requests
from gateway.session import Handle, Session
from gateway.settings import Settings
from gateway.turns import Turns
from streams.errors import Code, Refused
from streams.feeds import commands
from streams.feeds.order import parse_id
from streams.ids import AUTHOR, SYSTEM
from streams.schemas import MAX_INT
from tables.rows import NO_BODY, ORIGIN, Message, PostId


class FeedOperations:
    """Handles the frames about feeds."""

    def __init__(
        self,
        requests: Requests,
        sources: FeedSources,
        feeds: Feeds,
        pages: Pages,
        settings: Settings,
    ) -> None:
        self._requests = requests
        self._sources = sources
        self._feeds = feeds
        self._pages = pages
        self._settings = settings
        self._ask = partial(shows.ask, requests)
        self._turns = Turns()
        self.handlers: dict[type[wire.Frame], Handle] = {
            wire.MakePost: self._post,
            wire.EditPost: self._edit,
            wire.DeletePost: self._delete,
            wire.SetState: self._state,
            wire.Follow: self._follow,
            wire.Unfollow: self._follow,
            wire.Block: self._block,
            wire.Unblock: self._block,
            wire.ShowAuthor: self._author,
            wire.ChooseDelivery: self._mode,
            wire.Feed: self._feed,
        }

    def left(self, session: Session) -> None:
        """A session has ended."""
        self._feeds.visits.end(session)

    async def _post(self, session: Session, frame: wire.MakePost) -> None:
        wire.check_body(bytes(frame.body), self._settings.body_bytes)
        command = commands.Post(
            **self._to_outbox(session.user.name, session, frame.id),
            body=frame.body,
            state=frame.state,
        )
        await self._ask(session, frame, command, partial(self._posted, command, frame))

    def _posted(self, command: commands.Post, frame: wire.MakePost, answer: Answer) -> list[bytes]:
        events, receipt = shows.posted(frame, command.by, answer)
        if not receipt.duplicate:
            body, state = command.body, command.state or ""
            place = receipt.seq, receipt.id, command.by, receipt.ts
            self._feeds.posted(Message(ORIGIN, *place, body, state=state))
        return events

    async def _edit(self, session: Session, frame: wire.EditPost) -> None:
        wire.check_body(bytes(frame.body), self._settings.body_bytes)
        post = _own(session, frame)
        command = commands.Edit(
            **self._to_outbox(post.author, session), seq=post.seq, body=frame.body
        )
        light = replace(frame, body=NO_BODY)
        await self._ask(session, frame, command, partial(self._changed, post, light))

    async def _delete(self, session: Session, frame: wire.DeletePost) -> None:
        post = _own(session, frame)
        command = commands.Delete(**self._to_outbox(post.author, session), seq=post.seq)
        await self._ask(session, frame, command, partial(self._changed, post, frame))

    async def _state(self, session: Session, frame: wire.SetState) -> None:
        post = _own(session, frame)
        command = commands.SetState(
            **self._to_outbox(post.author, session), seq=post.seq, state=frame.state
        )
        await self._ask(session, frame, command, partial(self._changed, post, frame))

    def _changed(self, post: PostId, frame: wire.PostFrame, answer: Answer) -> list[bytes]:
        self._feeds.changed(post, shows.changed_at(answer), gone=isinstance(frame, wire.DeletePost))
        return shows.post_done(frame, answer)

    async def _follow(self, session: Session, frame: wire.Follow | wire.Unfollow) -> None:
        session.spawn(self._follow_in_turn(session, frame), frame.ref)

    async def _follow_in_turn(self, session: Session, frame: wire.Follow | wire.Unfollow) -> None:
        async with self._turns.of(session, frame.author):
            begins = isinstance(frame, wire.Follow)
            if begins:
                await self._check_room(session.user.name)
            kind = commands.Follow if begins else commands.Unfollow
            command = kind(**self._to_outbox(frame.author, session))
            await self._ask(session, frame, command, partial(self._followed, session, frame))

    async def _check_room(self, user: str) -> None:
        if await self._sources.following(user) >= MAX_FOLLOWS:
            raise Refused(Code.CONFLICT, f"a user follows at most {MAX_FOLLOWS:,} authors")

    def _followed(self, session: Session, frame: wire.AuthorFrame, answer: Answer) -> list[bytes]:
        self._feeds.drop(session.user.name)
        return shows.followed(frame, answer)

    async def _block(self, session: Session, frame: wire.Block | wire.Unblock) -> None:
        kind = commands.Block if isinstance(frame, wire.Block) else commands.Unblock
        command = kind(**self._to_outbox(session.user.name, session), members=frame.members)
        await self._ask(session, frame, command, partial(self._blocked, frame))

    def _blocked(self, frame: wire.MembersFrame, answer: Answer) -> list[bytes]:
        for member in frame.members:
            self._feeds.drop(member)
        return shows.blocked(frame, answer)

    async def _author(self, session: Session, frame: wire.ShowAuthor) -> None:
        session.spawn(self._show_author(session, frame), frame.ref)

    async def _show_author(self, session: Session, frame: wire.ShowAuthor) -> None:
        author = await self._pages.author(frame.author, session.user.name)
        following = await self._sources.following(frame.author)
        session.emit(
            wire.event(
                "author",
                frame.ref,
                author=author.author,
                followers=author.followers,
                following=following,
                posts=author.posts,
                follows=author.follows,
                mode=author.mode,
            )
        )

    async def _mode(self, session: Session, frame: wire.ChooseDelivery) -> None:
        to_outbox = self._to_outbox(frame.author, session) | {"by": SYSTEM}
        command = commands.SetMode(**to_outbox, mode=frame.mode)
        await self._ask(session, frame, command, partial(shows.mode_done, frame))

    async def _feed(self, session: Session, frame: wire.Feed) -> None:
        _check(frame)
        last = None if frame.last_id is None else _parsed(frame.last_id)
        if frame.author is None and frame.order == "time":
            page = self._pages.ready(session, last, frame.limit)
            if page is not None:
                session.emit(shows.feed(frame.ref, page))
                return
        session.spawn(self._show_page(session, frame, last), frame.ref)

    async def _show_page(self, session: Session, frame: wire.Feed, last: PostId | None) -> None:
        session.emit(shows.feed(frame.ref, await self._page(session, frame, last)))

    async def _page(self, session: Session, frame: wire.Feed, last: PostId | None) -> Page:
        if frame.author is not None:
            user = session.user.name
            return await self._pages.author_page(frame.author, user, last, frame.limit)
        if frame.order == "time":
            return await self._pages.page(session, last, frame.limit)
        if frame.snapshot is None:
            return await self._pages.ranked(session, frame.refresh, frame.limit)
        return await self._pages.snapshot_page(session, frame.snapshot, last, frame.limit)

    def _to_outbox(
        self, author: str, session: Session, command_id: str | None = None
    ) -> dict[str, Any]:
        """What all commands to an outbox have."""
        return {
            "mailbox": AUTHOR + author,
            "by": session.user.name,
            "id": command_id or str(uuid.uuid4()),
            "reply": self._requests.address(),
        }


def _own(session: Session, frame: wire.PostFrame) -> PostId:
    post = _parsed(frame.post)
    if post.author != session.user.name:
        raise Refused(Code.FORBIDDEN, "a post is its author's")
    return post


def _parsed(text: str) -> PostId:
    try:
        post = parse_id(text)
    except ValueError as error:
        raise Refused(Code.BAD_REQUEST, str(error)) from None
    if not 0 < post.seq <= MAX_INT:
        raise Refused(Code.BAD_REQUEST, "there is no such post: seqs are 1 to 2^53")
    return post


def _check(frame: wire.Feed) -> None:
    """Refuse what has no meaning together."""
    if frame.order == "time" and (frame.snapshot or frame.refresh):
        raise Refused(Code.BAD_REQUEST, 'snapshots are for `"order":"state"`')
    if frame.order == "state" and frame.author is not None:
        raise Refused(Code.BAD_REQUEST, "an author's page is in the order of time")
    if frame.refresh and (frame.snapshot or frame.last_id):
        raise Refused(Code.BAD_REQUEST, "`refresh` asks for a first page: without a place in one")
    if frame.order == "state" and frame.last_id and not frame.snapshot:
        raise Refused(Code.BAD_REQUEST, "name the `snapshot` that `last_id` is in")
