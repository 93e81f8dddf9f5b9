"""The client library for browsers, run in a tab where nobody is logged in."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from tests.e2e.client import ANSWER_SECONDS
from tests.e2e.page_tab import Tab, Wire
from tests.waiting import soon

START = """async ({ user, tokens, incomplete, options }) => {
  const { Client } = await import("/readcast.js");
  Object.assign(window, { messages: [], states: [], events: [], settled: [], queue: [], asked: 0 });
  const token = async () => {
    const next = tokens[Math.min(asked++, tokens.length - 1)];
    if (next === "fail") throw new Error("no log-in server");
    return next;
  };
  const complete = (mailbox) => !incomplete.includes(mailbox);
  window.client = new Client({ user, token, complete, backoff: { base: 50, cap: 200 }, ...options });
  client.on("message", (event) => messages.push(event));
  client.on("event", (event) => events.push(event));
  client.on("queue", (waiting) => (queue = waiting));
  client.on("state", (state) => {
    states.push(state);
    if (state.name === "connected") client.request("sync");
  });
  window.outcome = (promise) => promise.then(
    (answer) => ({ answer }),
    ({ code, message, retriable }) => ({ code, message, retriable }),
  );
}"""
"""`incomplete`: mailboxes of which messages may be missed. What happens is kept in arrays."""

JITTER = """async (attempt) => {
  const { fullJitter } = await import("/readcast.js");
  const backoff = { base: 1_000, cap: 30_000 };
  return Array.from({ length: 10_000 }, () => fullJitter(attempt, backoff));
}"""
"""10,000 waits before an attempt."""


class PageClient:
    """A `Client` of readcast.js in a tab."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.page = tab.page

    @classmethod
    async def start(
        cls,
        tab: Tab,
        user: str,
        *tokens: str | None,
        opened: bool = True,
        incomplete: tuple[str, ...] = (),
        **options: Any,
    ) -> Self:
        """Load the module and make a client that gets one token after another, the last forever;

        `fail` is an attempt to get one that fails.
        """
        client = cls(tab)
        # The page asks who somebody is, and does nothing more.
        await client.page.goto(tab.url)
        given = {"user": user, "tokens": tokens, "incomplete": incomplete, "options": options}
        await client.page.evaluate(START, given)
        if opened:
            await client.run("client.open()")
            await client.synced()
        return client

    async def run(self, script: str, argument: object = None) -> Any:
        """The value of an expression in the page, where `it` is the argument."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.page.evaluate(f"async (it) => {{ return {script}; }}", argument)

    async def until(self, script: str, argument: object = None) -> None:
        """Wait until an expression is true in the page."""

        async def holds() -> bool:
            return bool(await self.run(script, argument))

        await soon(holds, script)

    async def state(self, name: str) -> dict[str, Any]:
        """Wait for a state."""
        await self.until("client.state.name === it", name)
        state: dict[str, Any] = await self.run("client.state")
        return state

    async def synced(self) -> None:
        await self.until('events.some(({ op }) => op === "sync")')

    async def send(self, mailbox: str, body: object) -> dict[str, Any]:
        """Send and wait for what becomes of it: `answer`, or the fields of the error."""
        return await self.run("await outcome(client.send(...it))", [mailbox, body])

    async def enqueue(self, mailbox: str, *bodies: object) -> None:
        """Have messages sent; wait until they are kept, not until they are accepted."""
        script = "it[1].forEach((body) => settled.push(outcome(client.send(it[0], body))))"
        await self.run(script, [mailbox, bodies])
        await self.until("!it.length || queue.length >= it.length || client.connected", bodies)

    async def outcomes(self) -> list[dict[str, Any]]:
        """What became of all that was enqueued."""
        found: list[dict[str, Any]] = await self.run("await Promise.all(settled)")
        return found

    async def bodies(self, mailbox: str) -> list[Any]:
        """What was delivered, in the order in which it was."""
        script = "messages.filter(({ mailbox }) => mailbox === it).map(({ body }) => body)"
        found: list[Any] = await self.run(script, mailbox)
        return found

    async def receives(self, mailbox: str, *bodies: object) -> None:
        """Wait until as many messages are delivered; they must be these."""

        async def enough() -> bool:
            return len(await self.bodies(mailbox)) >= len(bodies)

        await soon(enough, f"{len(bodies)} messages of {mailbox}")
        assert await self.bodies(mailbox) == list(bodies)

    async def of(self, op: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.run("events.filter(({ op }) => op === it)", op)
        return found


async def tapped(tab: Tab) -> Wire:
    """What stands between the tab and its gateway."""
    return await Wire().tap(tab)
