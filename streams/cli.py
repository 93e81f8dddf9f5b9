"""Commands for operators and producers: `faust -A streams <command>`."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from faust.cli import AppCommand, argument, option
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from streams.admin import ensure_topics
from streams.client import PipelineClient
from streams.console import (
    Command,
    ask,
    check_exists,
    checked,
    console,
    fail,
    last_messages,
    parse_json,
)
from streams.ids import PUBLIC, SYSTEM, parse_mailbox
from streams.jwks import make_key
from streams.pipeline import app
from streams.public.cli import table_of_entries
from streams.tokens import DEFAULT_LIFETIME, make_token, signing_key

_STORED = "stored, not yet decided: `faust -A streams show` tells what became of it"


@app.command(option("--check", is_flag=True, help="Only check; create nothing."), base=Command)
async def topics(self: AppCommand, check: bool) -> None:
    """Create the topics, or check them."""
    reports = await asyncio.to_thread(ensure_topics, app.settings, create=not check)
    table = Table("topic", "state")
    for report in reports:
        problems = "; ".join(report.problems)
        table.add_row(
            report.name,
            f"[red]{problems}" if problems else "created" if report.created else "in order",
        )
    console.print(table)
    if any(report.problems for report in reports):
        fail("topics differ from what the guarantees need: see docs/operations.md")


@app.command(
    argument("command", required=False),
    option(
        "--file",
        "file",
        type=click.File("rb"),
        help="A file of commands, one JSON object a line; - for stdin.",
    ),
    option("--wait/--no-wait", default=True, help="Wait for what becomes of a single command."),
    base=Command,
)
async def send(self: AppCommand, command: str | None, file: IO[bytes] | None, wait: bool) -> None:
    """Send a command (a JSON object), or a file of them."""
    if (command is None) == (file is None):
        fail("give one command as a JSON object, or a file of them with --file")
    async with PipelineClient(app.settings) as client:
        if file is not None:
            await _send_file(client, file)
        elif command is not None:
            await _send_one(client, checked(parse_json("command", command)), wait)


async def _send_file(client: PipelineClient, file: IO[bytes]) -> None:
    sent = 0
    waiting: deque[asyncio.Future[Any]] = deque()
    with Progress(console=console) as progress:
        task = progress.add_task("commands", total=None)
        try:
            for command in _commands(file):
                waiting.append(await client.send(command))
                sent += 1
                while waiting and waiting[0].done():
                    await waiting[0]
                    waiting.popleft()
                progress.update(task, completed=sent)
        finally:
            await asyncio.gather(*waiting)
            progress.update(task, total=sent)
            console.print(f"{sent} commands {_STORED}")


def _commands(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield checked(parse_json("command", line))
            except click.ClickException as error:
                fail(f"line {number}, from which on nothing is sent: {error.message}")


async def _send_one(client: PipelineClient, command: dict[str, Any], wait: bool) -> None:
    if not wait:
        await (await client.send(command))
        console.print(_STORED)
        return
    console.print_json(msgspec.json.encode(await ask(client, command)).decode())


@app.command(
    argument("mailbox"),
    option("--as", "user", default=SYSTEM, show_default=True, help="See it as this user does."),
    option(
        "--limit",
        type=click.IntRange(1, 1_000),
        default=10,
        show_default=True,
        help="Messages and members to show.",
    ),
    base=Command,
)
async def show(self: AppCommand, mailbox: str, user: str, limit: int) -> None:
    """Show a mailbox: its head, members and last messages."""
    kind = _kind_of(mailbox)
    question = {"type": "query", "mailbox": mailbox, "by": user}
    checked({**question, "what": "facts"})
    async with PipelineClient(app.settings) as client:
        fact = (await ask(client, {**question, "what": "facts"}))["facts"][0]
        check_exists(fact)
        history = await last_messages(client, question, limit)
        members = []
        if kind == "group":
            asked = {**question, "what": "members", "limit": limit}
            members = (await ask(client, asked))["members"]
    _print_mailbox(fact, members, history)


def _kind_of(mailbox: str) -> str:
    try:
        return parse_mailbox(mailbox).kind
    except ValueError as error:
        fail(str(error))


def _print_mailbox(
    fact: dict[str, Any], members: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> None:
    closed = ", closed" if fact["closed"] else ""
    console.print(
        f"[bold]{fact['mailbox']}[/]  head {fact['head']}, {fact['members']} members{closed}"
    )
    if fact["mailbox"].startswith(PUBLIC):
        console.print(table_of_entries(messages))
        return
    if members:
        more = [f"and {left} more"] if (left := fact["members"] - len(members)) > 0 else []
        console.print("  ".join([f"{m['user']} ({m['role']})" for m in members] + more))
    table = Table("seq", "from", "body", box=None)
    for message in messages:
        table.add_row(str(message["seq"]), message["from"], _body(message))
    console.print(table)


def _body(message: dict[str, Any]) -> str:
    if "body" not in message:
        return "[dim]recalled"
    return escape(msgspec.json.encode(message["body"]).decode())


@app.command(argument("mailbox", required=False), base=Command)
async def follow(self: AppCommand, mailbox: str | None) -> None:
    """Print the mailbox log as it grows (of one mailbox, if named)."""
    if mailbox:
        _kind_of(mailbox)
    prefix = f"{mailbox}/".encode() if mailbox else b""
    async with PipelineClient(app.settings) as client:
        try:
            async for record in client.follow():
                key = record.key or b""
                if key.startswith(prefix):
                    _print_row(key, record.value)
        except TimeoutError:
            fail(
                "the log can't be read: are the topics in order (faust -A streams topics --check)?"
            )


def _print_row(key: bytes, row: bytes | None) -> None:
    value = "(removed)" if row is None else row.decode(errors="replace")
    sys.stdout.write(f"{key.decode(errors='replace')} {value}\n")
    sys.stdout.flush()


@app.command(
    option("--user", required=True, help="Who the token is for."),
    option("--seconds", default=DEFAULT_LIFETIME, show_default=True, help="How long it is good."),
    option("--role", default=None, help="A role claim, such as operator."),
    option("--kid", default=None, help="The key of READCAST_AUTH_KEYS to sign with."),
    base=Command,
)
async def token(
    self: AppCommand, user: str, seconds: int, role: str | None, kid: str | None
) -> None:
    """Print a signed token for a user."""
    try:
        key = signing_key(app.settings, kid)
        sys.stdout.write(make_token(key, user, seconds, role) + "\n")
    except (ValueError, OSError) as error:
        fail(str(error))


_KEY_FILE = click.Path(dir_okay=False, path_type=Path)


@app.command(
    argument("kid"),
    argument("private", type=_KEY_FILE),
    argument("public", type=_KEY_FILE),
    base=Command,
)
async def key(self: AppCommand, kid: str, private: Path, public: Path) -> None:
    """Make an RS256 key: add it to PRIVATE, for whoever signs, and its public half to PUBLIC."""
    try:
        make_key(kid, private, public)
    except (ValueError, OSError) as error:
        fail(str(error))
    console.print(f"{kid} is in {private} and, without what signs, in {public}", markup=False)
