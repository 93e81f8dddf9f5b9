"""Connected clients and browser tabs, closed after each test; the browser stays for all of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.e2e.client import Client
from tests.e2e.page_tab import CHROMIUM, QUIET, Tab, Wire
from tests.processes import Gateway, System
from tests.records import unique

Connect = Callable[..., Awaitable[Client]]
Party = Callable[..., Awaitable[list[Any]]]
Open = Callable[..., Awaitable[Tab]]


HERE = Path(__file__).parent

WIRES: dict[str, dict[str, Any]] = {
    "json": {"subprotocol": "readcast.json"},
    "proto": {"subprotocol": "readcast.proto", "deflate": True},
}

DELIVERIES = {"json": "tail", "proto": "routed"}
"""How rows get to the gateway of each wire: two ways in two runs, not in four."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a module with the mark `both_wires` run once in JSON, once in deflated Protobuf.

    The gateway reads all rows in the first run, and is forwarded its own in the second.
    """
    if "wire" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_wires"):
        metafunc.parametrize("wire", WIRES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all tests here, since a browser belongs to the loop that started it."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How clients connect; JSON, unless a test runs over both."""
    return WIRES[getattr(request, "param", "json")]


@pytest.fixture(scope="session")
def routed(stack: System) -> Iterator[Gateway]:
    """A gateway that is forwarded what it needs."""
    with stack.gateway(READCAST_GATEWAY_DELIVERY="routed") as gateway:
        yield gateway.wait_ready()


@pytest.fixture
def home(request: pytest.FixtureRequest, stack: System) -> Gateway:
    """The gateway that a test's clients connect to."""
    name = getattr(request.node, "callspec", None)
    is_routed = name is not None and DELIVERIES.get(name.params.get("wire")) == "routed"
    return request.getfixturevalue("routed") if is_routed else stack.gateways[0]


@pytest_asyncio.fixture(loop_scope="session")
async def connect(stack: System, home: Gateway, wire: dict[str, Any]) -> AsyncIterator[Connect]:
    """connect(user, url=..., subprotocol=..., **hello fields): a session that has said hello."""
    opened: list[Client] = []

    async def connect(
        user: str, url: str | None = None, subprotocol: str | None = None, **hello: Any
    ) -> Client:
        chosen = {"subprotocol": subprotocol} if subprotocol else {}
        client = await dial(user=user, url=url, **chosen)
        await client.hello(stack.token(user), **hello)
        return client

    async def dial(user: str = "", url: str | None = None, **options: Any) -> Client:
        client = await Client.open(url or home.ws, user, **wire | options)
        opened.append(client)
        return client

    connect.dial = dial  # type: ignore[attr-defined]
    yield connect
    for client in opened:
        await client.close()


@pytest.fixture
def dial(connect: Connect) -> Connect:
    """dial(user, url=..., **connection options): a connection without a hello."""
    return connect.dial  # type: ignore[attr-defined]


@pytest.fixture
def party(connect: Connect) -> Party:
    """party("alice", "bob", **policy): a new group and a synced session for each, owner first."""

    async def party(*labels: str, **policy: Any) -> list[Any]:
        group = unique("group:g")
        clients = [await connect(unique(label)) for label in labels]
        for client in clients:
            await client.sync()
        owner, *others = clients
        await owner.request("create", mailbox=group, policy=policy)
        if others:
            names = [other.user for other in others]
            await owner.request("join", mailbox=group, members=names)
        for other in others:
            await other.expect("joined", mailbox=group)
        return [group, *clients]

    return party


@pytest.fixture(scope="module")
def impatient(stack: System) -> Iterator[Gateway]:
    """A gateway with short limits and small buffers."""
    with stack.gateway(
        READCAST_GATEWAY_HELLO_SECONDS="1",
        READCAST_GATEWAY_ACK_SECONDS="1",
        READCAST_GATEWAY_RING_EVENTS="20",
        READCAST_GATEWAY_RESUME_MESSAGES="20",
        READCAST_GATEWAY_NOTIFY_ABOVE="2",
        READCAST_GATEWAY_WRITE_BYTES="16384",
    ) as gateway:
        yield gateway.wait_ready()


@pytest.fixture(scope="module")
def second(stack: System) -> Iterator[Gateway]:
    """Another gateway of the same app, with the default settings."""
    with stack.gateway() as gateway:
        yield gateway.wait_ready()


@pytest.fixture
def own_gateway(stack: System) -> Iterator[Callable[[], Gateway]]:
    """own_gateway(): one more gateway, for a test that stops it."""
    started: list[Gateway] = []

    def start() -> Gateway:
        started.append(stack.gateway())
        return started[-1].wait_ready()

    yield start
    for gateway in started:
        gateway.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """The browser, without any tab; a context shares nothing with those of other tests."""
    yield chromium
    for context in list(chromium.contexts):
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def blank(browser: Browser, stack: System) -> AsyncIterator[Open]:
    """blank(**context options): an empty tab; at the end no tab may have reported an error."""
    tabs: list[Tab] = []

    async def blank(**options: object) -> Tab:
        tabs.append(await Tab.open(browser, stack.http, **options))
        return tabs[-1]

    yield blank
    for tab in tabs:
        await tab.context.close()
    assert [problem for tab in tabs for problem in tab.problems] == []


@pytest.fixture
def tab(blank: Open, stack: System) -> Open:
    """tab(user, mailbox="", **context options): a tab with the page, logged in and connected."""

    async def tab(user: str, mailbox: str = "", **options: object) -> Tab:
        return await (await blank(**options)).log_in(user, stack.token(user), mailbox)

    return tab


@pytest.fixture
def tapped(blank: Open, stack: System) -> Open:
    """tapped(wire, user, mailbox=""): a tab with the page, logged in, whose events go through a wire."""

    async def tapped(wire: Wire, user: str, mailbox: str = "") -> Tab:
        one = await blank()
        await wire.tap(one)
        return await one.log_in(user, stack.token(user), mailbox)

    return tapped


@pytest.fixture
def operate(dial: Connect, stack: System) -> Connect:
    """operate(): a session of a new operator."""

    async def operate() -> Client:
        client = await dial(user=unique("operator"))
        await client.hello(stack.token(client.user, role="operator"))
        return client

    return operate
