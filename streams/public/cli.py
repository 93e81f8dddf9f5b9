"""Commands for operators of public mailboxes: `faust -A streams publish`, `release`, `withdraw`, `counts`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from faust.cli import AppCommand, argument, option
from rich.markup import escape
from rich.table import Table

from streams.client import PipelineClient
from streams.console import (
    Command,
    ask,
    checked,
    console,
    fail,
    id_option,
    last_messages,
    order,
    parse_json,
)
from streams.ids import SYSTEM
from streams.pipeline import app
from streams.public.counts import Counted, summed
from streams.users.layout import COUNTED, Total

_by = option("--by", default=SYSTEM, show_default=True, help="The operator, for the record.")
_PERCENT = "Share of all users, in steps of 0.01."
_WHEN = "a time as 2026-12-31T18:00+01:00, in UTC without an offset"
_users = option("--users", default="", help="Users it reaches by name: alice,bob")
_expect = option(
    "--expect", type=int, required=True, help="Seq of the last entry about it that you saw."
)


@app.command(
    argument("mailbox"),
    argument("title"),
    argument("body"),
    option("--percent", type=float, default=0.0, help=_PERCENT),
    _users,
    option(
        "--expires",
        default="",
        help=f"When it is over: {_WHEN}.",
    ),
    option("--priority", default="normal", show_default=True, help="low, normal or urgent."),
    option("--audience", default="null", help="Whom it is for: a JSON expression over claims."),
    _by,
    id_option,
    base=Command,
)
async def publish(
    self: AppCommand,
    mailbox: str,
    title: str,
    body: str,
    percent: float,
    users: str,
    expires: str,
    priority: str,
    audience: str,
    by: str,
    id_: str | None,
) -> None:
    """Publish a message (BODY is JSON) in a public mailbox, by default to nobody yet."""
    fields = {
        "title": title,
        "body": parse_json("body", body),
        "release": _reach(percent, users),
        "expires": _milliseconds(expires) if expires else 0,
        "priority": priority,
        "audience": parse_json("audience", audience),
    }
    await _order("publish", mailbox, by, id_, fields)


@app.command(
    argument("mailbox"),
    argument("publish", type=int),
    option("--percent", type=float, required=True, help=_PERCENT),
    _users,
    _expect,
    _by,
    id_option,
    base=Command,
)
async def release(
    self: AppCommand,
    mailbox: str,
    publish: int,
    percent: float,
    users: str,
    expect: int,
    by: str,
    id_: str | None,
) -> None:
    """Let a publish reach more: a percentage not below the last one, and further users."""
    fields = {"publish": publish, "release": _reach(percent, users), "expect": expect}
    await _order("release", mailbox, by, id_, fields)


@app.command(
    argument("mailbox"), argument("publish", type=int), _expect, _by, id_option, base=Command
)  # fmt: skip
async def withdraw(
    self: AppCommand, mailbox: str, publish: int, expect: int, by: str, id_: str | None
) -> None:
    """Take a publish back: nobody is touched by it any more, and clients remove it."""
    await _order("withdraw", mailbox, by, id_, {"publish": publish, "expect": expect})


@app.command(argument("mailbox"), base=Command)
async def counts(self: AppCommand, mailbox: str) -> None:
    """Show how many users each publish has touched and how many have opened it, in all and by stage."""
    question = {"type": "query", "by": SYSTEM, "mailbox": mailbox}
    checked({**question, "what": "history"})
    of_users = checked({**question, "user": SYSTEM, "what": "counts"})
    async with PipelineClient(app.settings) as client:
        entries = await last_messages(client, question, COUNTED)
        partitions = range(app.settings.partitions)
        parts = await asyncio.gather(*(ask(client, of_users, number) for number in partitions))
    counted = Counted(
        summed(_by_entry(part["counts"]) for part in parts),
        summed(_by_entry(part["stages"]) for part in parts),
    )
    console.print(_table_of_counts(entries, counted))


def _by_entry(totals: dict[str, Total]) -> dict[int, Total]:
    return {int(seq): total for seq, total in totals.items()}


def _table_of_counts(entries: list[dict[str, Any]], counted: Counted) -> Table:
    """A line for each publish among the entries, and one for each of its stages where it has several."""
    stages: defaultdict[int, list[int]] = defaultdict(list)
    for entry in entries:
        if entry["kind"] != "withdraw":
            stages[entry.get("publish", entry["seq"])].append(entry["seq"])
    table = Table("publish", "stage", "touched", "opened", box=None)
    for publish, entries_of in stages.items():
        totals = counted.of(publish, entries_of, entries[-1]["seq"])
        table.add_row(str(publish), "all", str(totals.touched), str(totals.opened))
        if publish in entries_of and len(entries_of) > 1:
            for stage, (touched, opened) in zip(entries_of, totals.stages, strict=True):
                table.add_row("", str(stage), str(touched), str(opened))
    return table


def table_of_entries(entries: list[dict[str, Any]]) -> Table:
    """Entries of a public mailbox, one a line."""
    table = Table("seq", "kind", "publish", "by", "percent", "users", "title", box=None)
    for entry in entries:
        reach = entry.get("release", {"percent": "", "users": ()})
        table.add_row(
            str(entry["seq"]),
            entry["kind"],
            str(entry.get("publish", entry["seq"])),
            entry["by"],
            str(reach["percent"]),
            " ".join(reach["users"]),
            escape(entry.get("title", "")),
        )
    return table


def _milliseconds(text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        fail(f"expires: give {_WHEN}")
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1_000)


def _reach(percent: float, users: str) -> dict[str, Any]:
    return {"percent": percent, "users": [name for name in users.split(",") if name]}


async def _order(kind: str, mailbox: str, by: str, id_: str | None, fields: dict[str, Any]) -> None:
    """Send an operator's command and show which entry it became."""
    receipt = await order(kind, mailbox, by, fields, id_, again=True)
    before = ", as before" if receipt.get("duplicate") else ""
    console.print(f"entry {receipt['seq']} of {mailbox}{before}")
