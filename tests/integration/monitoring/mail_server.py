"""A mail server on this machine: SMTP with STARTTLS and AUTH, that keeps what it is sent and fails as it is told.

It speaks what RFC 5321, 3207 and 4954 ask of a server that takes mail for one person; ``test_mail_server.py`` checks it
with smtplib. The certificate beside it is its own and worth nothing elsewhere.
"""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

CERTIFICATE = Path(__file__).with_name("mail_certificate.pem")
USER, PASSWORD = "aegis", "canary-mail-password-7d2e"


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail at a free port of this machine.

    `fault` is what it does with the next mails: ``""`` takes them, ``"refuse"`` answers 550, ``"later"`` 451, ``"cut"``
    closes the connection after the mail without an answer, ``"silent"`` says nothing until :meth:`wake`.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *, wants_login: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.wants_login = wants_login
        self.fault = ""
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[str, bool]] = []
        self.arrived = threading.Condition()
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wake()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def wake(self) -> None:
        """End the silence."""
        self._awake.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""

    def take(self, content: bytes) -> str:
        """Keep a mail, or fail as told; return the answer, empty to hang up."""
        fault = self.fault
        if fault == "silent":
            self._awake.wait()
        answers = {"refuse": "550 5.7.1 refused", "later": "451 4.3.0 try later"}
        if fault in answers:
            return answers[fault]
        with self.arrived:
            self.mails.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
            self.arrived.notify_all()
        return "" if fault == "cut" else "250 2.0.0 taken"


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._is_safe = self._is_known = False
        self._say("220 localhost")
        while line := self.rfile.readline():
            verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            if not self._answer(verb.upper(), rest):
                return

    def finish(self) -> None:
        """Close what STARTTLS put in the place of the connection."""
        super().finish()
        self.connection.close()

    def _answer(self, verb: str, rest: str) -> bool:
        if verb == "EHLO":
            offers = ["localhost", "AUTH PLAIN" if self._is_safe else "STARTTLS"]
            for number, offer in enumerate(offers):
                self._say(f"250{'-' if number < len(offers) - 1 else ' '}{offer}")
        elif verb == "STARTTLS":
            self._encrypt()
        elif verb == "AUTH":
            self._login(rest)
        elif verb == "DATA":
            return self._take()
        elif verb in ("MAIL", "RCPT", "RSET", "NOOP", "HELO"):
            self._say("250 2.0.0 ok")
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
            return False
        else:
            self._say("500 5.5.1 unknown")
        return True

    def _encrypt(self) -> None:
        self._say("220 2.0.0 ready")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self._is_safe = True

    def _take(self) -> bool:
        if self.server.wants_login and not self._is_known:
            self._say("530 5.7.0 log in first")
            return True
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        answer = self.server.take(b"".join(lines))
        if not answer:
            return False
        self._say(answer)
        return True

    def _login(self, rest: str) -> None:
        _, _, given = rest.partition(" ")
        _, user, password = base64.b64decode(given).decode().split("\0")
        self._is_known = (user, password) == (USER, PASSWORD)
        self.server.logins.append((user, self._is_safe))
        self._say("235 2.7.0 welcome" if self._is_known else f"535 5.7.8 not you, {password}")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
