"""What `make run` waits for is on this machine, whatever proxy the environment names."""

import http.server
import sys
import threading

from tests.processes import ROOT


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docker/local"))
    import up

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
        del sys.modules["up"]
