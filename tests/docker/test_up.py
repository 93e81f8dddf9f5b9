"""What `make run` is told by the environment, and what it waits for."""

import http.server
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.processes import ROOT


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "docker/local"))
    import up

    yield up
    del sys.modules["up"]


def test_port_0_is_any_that_is_free(up):
    given = {"READCAST_GATEWAY_PORT": "0"}
    assert int(up.choose_port(given, "READCAST_GATEWAY_PORT", 8080)) > 1_024


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(up, monkeypatch):
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    try:
        assert up.answers(f"http://127.0.0.1:{server.server_port}/readyz")
    finally:
        server.shutdown()
