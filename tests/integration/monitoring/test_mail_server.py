"""The mail server of these tests, checked with smtplib."""

from __future__ import annotations

import smtplib
import ssl

import pytest

from tests.integration.monitoring.mail_server import CERTIFICATE, PASSWORD, USER, MailServer

MAIL = "Subject: one\r\n\r\n.a line that begins with a dot\r\n"


def test_it_takes_a_mail_after_starttls_and_login_and_refuses_as_told() -> None:
    with MailServer(wants_login=True) as server, smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login(USER, PASSWORD)  # not before the connection is safe
        with pytest.raises(smtplib.SMTPDataError, match="log in first"):
            client.sendmail("a@localhost", ["b@localhost"], MAIL)
        client.starttls(context=ssl.create_default_context(cafile=str(CERTIFICATE)))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(USER, "wrong")
        client.login(USER, PASSWORD)
        client.sendmail("a@localhost", ["b@localhost"], MAIL)
        server.fault = "refuse"
        with pytest.raises(smtplib.SMTPDataError, match="refused"):
            client.sendmail("a@localhost", ["b@localhost"], MAIL)
    (mail,) = server.mails
    assert (mail["Subject"], mail.get_content()) == ("one", ".a line that begins with a dot\r\n")
    assert server.logins[-1] == (USER, True)
