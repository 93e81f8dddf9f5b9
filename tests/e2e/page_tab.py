"""A browser tab with the web page, driven as a user would."""

import json
import math
import re
from typing import Self

from playwright.async_api import Browser, BrowserContext, Locator, Page, WebSocketRoute, expect

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
PATIENCE_MS = 20_000
# Chromium reports each request that a missing network refuses.
EXPECTED = re.compile(r"ERR_INTERNET_DISCONNECTED")

expect.set_options(timeout=PATIENCE_MS)


class Tab:
    """One user's tab. `problems` holds errors of the console and of scripts."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))

    @classmethod
    async def open(cls, browser: Browser, url: str, **options: object) -> Self:
        """A tab that nothing is loaded into yet."""
        context = await browser.new_context(**options)
        return cls(context, await context.new_page(), url)

    async def log_in(self, user: str, token: str, mailbox: str = "") -> Self:
        """Load the page with a log-in that it remembers; wait until it shows `mailbox`."""
        session = json.dumps({"user": user, "token": token})
        await self.page.add_init_script(
            f"sessionStorage.getItem('readcast.session') ||"
            f" sessionStorage.setItem('readcast.session', {json.dumps(session)});"
        )
        await self.page.goto(f"{self.url}/#{mailbox}")
        await self.connected()
        if mailbox:
            await expect(self.composer).to_be_visible()
        return self

    async def connected(self) -> None:
        await expect(self.page.locator("#app")).to_have_attribute("data-connection", "connected")

    async def show(self, mailbox: str) -> None:
        await self.row(mailbox).click()

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def reads(self, *texts: str) -> None:
        """Wait until the conversation consists of these messages, in this order."""
        await expect(self.texts).to_have_text(list(texts))

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message")

    @property
    def texts(self) -> Locator:
        return self.page.locator(".message .text")

    @property
    def status(self) -> Locator:
        return self.page.locator("#connection")

    def message(self, text: str) -> Locator:
        return self.page.locator(".message").filter(has_text=text)

    def row(self, mailbox: str) -> Locator:
        return self.page.locator(f'#list a[href="#{mailbox}"]')

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def width(self) -> int:
        return await self.page.evaluate("document.documentElement.scrollWidth")

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED.search(text):
            self.problems.append(text)


class Wire:
    """Stands between a tab and the gateway, so that a test can lose or forge events."""

    def __init__(self) -> None:
        self.sockets: list[WebSocketRoute] = []
        self.sent: list[dict] = []
        self.lose_sends = False
        self.lose_answers = False
        self.lose_events = False

    async def tap(self, tab: Tab) -> Self:
        await tab.page.route_web_socket(re.compile("/ws$"), self._opened)
        return self

    def forge(self, *events: dict) -> None:
        """Send events to the tab as if the gateway had."""
        self.sockets[-1].send(json.dumps(events))

    async def close(self, code: int) -> None:
        await self.sockets[-1].close(code=code)

    def of(self, op: str) -> list[dict]:
        return [frame for frame in self.sent if frame["op"] == op]

    def _opened(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        server = socket.connect_to_server()
        socket.on_message(lambda frame: self._up(server, frame))
        server.on_message(lambda frame: self._down(socket, frame))

    def _up(self, server: WebSocketRoute, frame: str) -> None:
        self.sent.append(json.loads(frame))
        if not (self.lose_sends and self.sent[-1]["op"] == "send"):
            server.send(frame)

    def _down(self, socket: WebSocketRoute, frame: str) -> None:
        events = [event for event in json.loads(frame) if not self._lost(event)]
        if events and socket is self.sockets[-1]:
            socket.send(json.dumps(events))

    def _lost(self, event: dict) -> bool:
        return (self.lose_answers and event["op"] == "sent") or (
            self.lose_events and event["op"] == "message"
        )


class Refusing(Wire):
    """Refuses requests of an op, the next `times` ones, as a gateway that gets no answer does."""

    def __init__(self, op: str, times: int) -> None:
        super().__init__()
        self.op = op
        self.times = times

    def _up(self, server: WebSocketRoute, frame: str) -> None:
        event = json.loads(frame)
        if event["op"] == self.op and self.times:
            self.times -= 1
            refusal = {"code": "unavailable", "message": "No answer in time.", "retriable": True}
            self.forge({"op": "error", "ref": event["ref"], **refusal})
        else:
            super()._up(server, frame)


class Late(Wire):
    """Lets the first answers to an op pass, and holds those after them back until `release`."""

    def __init__(self, op: str, passing: int) -> None:
        super().__init__()
        self.op = op
        self.passing: float = passing
        self.held: list[str] = []

    def release(self) -> None:
        self.passing = math.inf
        for frame in self.held:
            self.sockets[-1].send(frame)

    def _down(self, socket: WebSocketRoute, frame: str) -> None:
        events = json.loads(frame)
        answers = [event for event in events if event["op"] == self.op]
        if len(answers) > self.passing:
            self.held.append(json.dumps(answers))
            frame = json.dumps([event for event in events if event["op"] != self.op])
        else:
            self.passing -= len(answers)
        super()._down(socket, frame)
