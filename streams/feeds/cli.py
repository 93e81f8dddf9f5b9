"""Commands for feeds: `faust -A streams post`, `edit`, `delete`, `follow-author`, `block`, `mode`, `author`, `feed`."""

from __future__ import annotations

from typing import Any

from faust.cli import AppCommand, argument, option
from rich.markup import escape
from rich.table import Column, Table

from streams.client import PipelineClient
from streams.console import (
    NO_ANSWER,
    Command,
    ask,
    checked,
    console,
    fail,
    id_option,
    order,
    parse_json,
)
from streams.errors import Refused
from streams.feeds.order import format_id, parse_id, post_id
from streams.feeds.pages import Page, read_page
from streams.feeds.sources import ClientSources
from streams.ids import AUTHOR, SYSTEM
from streams.pipeline import app
from tables.rows import Message, PostId

_author = argument("author")
_seq = argument("seq", type=int)


@app.command(
    _author,
    argument("body"),
    option("--state", default=None, help="What the post is, for instance live."),
    id_option,
    base=Command,
)
async def post(
    self: AppCommand, author: str, body: str, state: str | None, id_: str | None
) -> None:
    """Post in the name of an author (BODY is JSON)."""
    fields = {"body": parse_json("body", body), "state": state}
    receipt = await _order("post", author, fields, id_=id_)
    before = ", as before" if receipt.get("duplicate") else ""
    console.print(f"post {receipt['seq']} of {author}{before}")


@app.command(_author, _seq, argument("body"), base=Command)
async def edit(self: AppCommand, author: str, seq: int, body: str) -> None:
    """Give a post another body (JSON)."""
    await _order("edit", author, {"seq": seq, "body": parse_json("body", body)})
    console.print(f"post {seq} of {author} is edited")


@app.command(_author, _seq, base=Command)
async def delete(self: AppCommand, author: str, seq: int) -> None:
    """Delete a post: it vanishes from all feeds."""
    await _order("delete", author, {"seq": seq})
    console.print(f"post {seq} of {author} is deleted")


@app.command(_author, _seq, argument("state", required=False), base=Command)
async def state(self: AppCommand, author: str, seq: int, state: str | None) -> None:
    """Say what a post is now, for instance live; without STATE: nothing any more."""
    await _order("state", author, {"seq": seq, "state": state})
    console.print(f"post {seq} of {author} is {state or 'a post like others'}")


@app.command(_author, argument("users", nargs=-1, required=True), base=Command)
async def follow_author(self: AppCommand, author: str, users: tuple[str, ...]) -> None:
    """Let users follow an author, up to 1,000 at once."""
    result = await _order("follow", author, {"members": users}, SYSTEM)
    _print_followers(author, result["followers"])


@app.command(_author, argument("users", nargs=-1, required=True), base=Command)
async def unfollow_author(self: AppCommand, author: str, users: tuple[str, ...]) -> None:
    """Let users follow an author no more."""
    result = await _order("unfollow", author, {"members": users}, SYSTEM)
    _print_followers(author, result["followers"])


@app.command(_author, argument("users", nargs=-1, required=True), base=Command)
async def block(self: AppCommand, author: str, users: tuple[str, ...]) -> None:
    """Keep users from following an author and from looking at the posts, up to 1,000 at once."""
    await _order("block", author, {"members": users})
    console.print(f"{author} has blocked {', '.join(users)}")


@app.command(_author, argument("users", nargs=-1, required=True), base=Command)
async def unblock(self: AppCommand, author: str, users: tuple[str, ...]) -> None:
    """Let users follow an author again."""
    await _order("unblock", author, {"members": users})
    console.print(f"{author} blocks {', '.join(users)} no more")


def _print_followers(author: str, number: int) -> None:
    console.print(f"{author} has {number} follower{'' if number == 1 else 's'}")


@app.command(_author, argument("mode"), base=Command)
async def mode(self: AppCommand, author: str, mode: str) -> None:
    """Choose how an author's posts get to followers: auto (as set), pull or push."""
    result = await _order("mode", author, {"mode": mode}, SYSTEM)
    console.print(f"{author} has the mode {result['mode']}")


@app.command(
    _author,
    option("--as", "user", default=SYSTEM, show_default=True, help="See them as this user does."),
    base=Command,
)
async def author(self: AppCommand, author: str, user: str) -> None:
    """Show an author: posts, followers, and how the ones get to the others."""
    question = {"type": "outbox", "mailbox": AUTHOR + author, "by": user, "what": "author"}
    async with PipelineClient(app.settings) as client:
        facts = await ask(client, checked(question))
    table = Table(show_header=False, box=None)
    for name in ("posts", "followers", "mode", "pushes", "follows", "blocked"):
        table.add_row(name, str(facts[name]).lower())
    console.print(table)


@app.command(
    option("--as", "user", default=None, help="Whose feed."),
    option("--author", default=None, help="The posts of this author instead."),
    option("--limit", default=20, show_default=True, help="Posts of a page, up to 100."),
    option("--last-id", default=None, help="Go on after this post."),
    base=Command,
)
async def feed(
    self: AppCommand, user: str | None, author: str | None, limit: int, last_id: str | None
) -> None:
    """Show a page of a user's feed, or of an author's posts, newest first."""
    if (user is None) == (author is None):
        fail("name a user with --as, or an author with --author")
    try:
        last = None if last_id is None else parse_id(last_id)
    except ValueError as error:
        fail(str(error))
    _check_page(user, author, limit)
    async with PipelineClient(app.settings) as client:
        sources = ClientSources(client, app.settings.partitions)
        try:
            page = await _page(sources, user, author, last, limit)
        except TimeoutError:
            fail(NO_ANSWER)
        except Refused as error:
            fail(f"{error.code}: {error.message}")
    console.print(_table_of_posts(page.posts))
    if page.last is not None:
        console.print(f"more: --last-id {format_id(page.last)}", soft_wrap=True)


def _check_page(user: str | None, author: str | None, limit: int) -> None:
    """End the command if the questions would not be understood."""
    if user is not None:
        checked({"type": "feed", "user": user, "by": SYSTEM, "what": "inbox"})
    outbox = {"type": "outbox", "mailbox": AUTHOR + (author or "any"), "by": SYSTEM}
    checked({**outbox, "what": "timeline", "limit": limit})


async def _page(
    sources: ClientSources, user: str | None, author: str | None, last: PostId | None, limit: int
) -> Page:
    if user is not None:
        return await read_page(sources, user, await sources.follows(user), last, limit)
    (timeline,) = await sources.timelines([author or ""], last, limit)
    return Page(list(timeline.posts), timeline.reached)


def _table_of_posts(posts: list[Message]) -> Table:
    # An id is for `--last-id`: a long body takes no part of it.
    table = Table(Column("id", no_wrap=True, overflow="fold"), "state", "body", box=None)
    for row in posts:
        table.add_row(format_id(post_id(row)), row.state, escape(bytes(row.body).decode()))
    return table


async def _order(
    kind: str, author: str, fields: dict[str, Any], by: str = "", id_: str | None = None
) -> dict[str, Any]:
    """Send a command to an author's outbox, by default in their own name; the result."""
    return await order(kind, AUTHOR + author, by or author, fields, id_, again=kind == "post")
