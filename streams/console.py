"""What the commands of the command line share."""

from __future__ import annotations

import asyncio
import signal
import uuid
from typing import Any, NoReturn

import click
import msgspec
from aiokafka.errors import KafkaError as AioKafkaError
from faust.cli import AppCommand, option
from kafka.errors import KafkaError
from rich.console import Console

from streams.client import PipelineClient
from streams.errors import Malformed
from streams.feeds.limits import FeedLimits
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.pipeline import app
from streams.users.agent import UserAgent

NO_ANSWER = (
    "no answer within 10 s: does a worker run, and are the topics in order "
    "(faust -A streams topics --check)?"
)

INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl-C, as shells have it."""

console = Console()

id_option = option("--id", "id_", default=None, help="The command's UUID, to repeat one safely.")


class Command(AppCommand):
    """A command that runs as a plain program: it needs no worker, and its errors are one line."""

    abstract = True

    def run_using_worker(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            asyncio.run(self.execute(*self.args, *args, **{**self.kwargs, **kwargs}))
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except (AioKafkaError, KafkaError) as error:
            servers = app.settings.bootstrap_servers
            click.ClickException(f"Kafka at {servers} (KAFKA_BOOTSTRAP_SERVERS): {error}").show()
            raise SystemExit(1) from None
        raise SystemExit(0)


def fail(message: str) -> NoReturn:
    """End the command with a message."""
    raise click.ClickException(message)


async def ask(
    client: PipelineClient, command: dict[str, Any], partition: int | None = None, hint: str = ""
) -> dict[str, Any]:
    """The result of a command; a refusal ends this one, and so does no answer, with a hint what to do."""
    try:
        answer = await client.ask(command, partition)
    except TimeoutError:
        fail(NO_ANSWER + hint)
    if "error" in answer:
        fail("{code}: {message}".format(**answer["error"]))
    return answer["result"]  # type: ignore[no-any-return]


async def order(
    kind: str, mailbox: str, by: str, fields: dict[str, Any], id_: str | None, *, again: bool
) -> dict[str, Any]:
    """The result of a command that changes a mailbox; `again`: without an answer tell how to repeat it."""
    id_ = id_ or str(uuid.uuid4())
    command = checked({"type": kind, "mailbox": mailbox, "by": by, "id": id_, **fields})
    hint = f" Repeat it with --id {id_}: it is carried out once" if again else ""
    async with PipelineClient(app.settings) as client:
        return await ask(client, command, hint=hint)


def check_exists(mailbox: dict[str, Any]) -> None:
    """End the command if what is told of a mailbox says that there is none."""
    if not mailbox["epoch"]:
        fail(f"there is no mailbox {mailbox['mailbox']}")


async def last_messages(
    client: PipelineClient, question: dict[str, Any], limit: int
) -> list[dict[str, Any]]:
    """The last messages of a mailbox, `limit` at most: an answer may end before that.

    question: a query without what it is for.
    """
    messages: list[dict[str, Any]] = []
    more = True
    while more and len(messages) < limit:
        before = messages[0]["seq"] if messages else None
        asked = {"what": "history", "before": before, "limit": limit - len(messages)}
        history = await ask(client, {**question, **asked})
        check_exists(history)
        messages = history["messages"] + messages
        more = history["more"]
    return messages


def parse_json(what: str, text: str | bytes) -> Any:
    """JSON from the command line; `what` names it in the message if it is none."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        fail(f"{what}: {error}")


def checked(command: Any) -> dict[str, Any]:
    """The command, if it would be decoded by the pipeline; otherwise its fault ends this one."""
    if not isinstance(command, dict):
        fail("a command is a JSON object")
    of_user = "user" in command
    agent = UserAgent(FeedLimits()) if of_user else MailboxAgent(Limits(), app.settings.max_body)
    key = str(command.get("user" if of_user else "mailbox", "")).encode(errors="replace")
    answered = {"reply": {"to": "cli", "partition": 0, "ref": 0}, **command}
    try:
        agent.decode(key, msgspec.json.encode(answered))
    except (Malformed, UnicodeEncodeError) as error:
        fail(str(error))
    return command
