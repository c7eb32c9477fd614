"""Who is told: a chat service on this machine, and what of a log, of calls and of mails is one cause's."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.integration.monitoring.mail_server import MailServer

WITHIN_SECONDS = 20.0


class ChatService:
    """Keeps the calls of a webhook with their keys, and answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.arrived = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if service.status == 200:
                    with service.arrived:
                        service.calls.append((self.headers["Idempotency-Key"], body))
                        service.arrived.notify_all()
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/secret-token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, cause: str) -> list[str]:
        """Return what was told of the causes whose key begins so."""
        return [body["event"] for _, body in self.calls if body["cause_key"].startswith(cause)]


def mailed(server: MailServer, cause: str) -> list[str]:
    """Return what was mailed of the causes whose key begins so."""
    about = [mail for mail in server.mails if f"Cause {cause}" in mail.get_content()]
    return ["cleared" if "In-Reply-To" in mail else "alert" for mail in about]


def logged(path: Path, cause: str) -> list[str]:
    """Return what was logged of the causes whose key begins so."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return [r["event"] for r in records if r["cause_key"].startswith(cause) and r["event"] in ("alert", "cleared")]


def wait_for(changed: threading.Condition, is_so: Any) -> None:
    """Wait until something arrived, for at most :data:`WITHIN_SECONDS`."""
    with changed:
        assert changed.wait_for(is_so, WITHIN_SECONDS)
