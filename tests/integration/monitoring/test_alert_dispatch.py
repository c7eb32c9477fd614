"""Alerts while a channel, the log or the process itself fails: nothing is lost, held up, or told twice over."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aegis.config_monitoring import AlertSettings, EmailSettings
from aegis.errors import ConfigurationError
from aegis.monitoring.alert_channels import EmailChannel, WebhookChannel
from aegis.monitoring.alert_dispatch import AlertDispatch
from aegis.monitoring.causes import Cause
from tests.integration.monitoring.mail_server import CERTIFICATE, PASSWORD, USER, MailServer
from tests.integration.monitoring.receivers import ChatService, logged, mailed, wait_for

NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)
SETTINGS = AlertSettings(retry_first_seconds=0.02, retry_longest_seconds=0.05, clear_after_seconds=5.0)
BREAK = Cause("break/abc", "The books differ", "ABC: our books say 40 shares, the broker 25")
LOGIN = {"AEGIS_SMTP_USERNAME": USER, "AEGIS_SMTP_PASSWORD": PASSWORD}


def _email(server: MailServer, **terms) -> EmailChannel:
    settings = {"host": "127.0.0.1", "port": server.port, "recipients": ("desk@localhost",), "ca_file": CERTIFICATE}
    return EmailChannel(EmailSettings(**{**settings, **terms}), LOGIN)


def _after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_channel_that_is_down_loses_nothing_and_holds_up_nobody(tmp_path: Path) -> None:
    log = tmp_path / "alerts.jsonl"
    with ChatService() as chat, MailServer() as mail:
        mail.fault = "silent"
        chat.status = 503
        channels = (WebhookChannel(chat.url, timeout_seconds=5.0), _email(mail, timeout_seconds=5.0))
        with closing(AlertDispatch(log, SETTINGS, channels)) as alerts:
            began = time.monotonic()
            alerts.hear([BREAK], NOON)
            alerts.hear([], _after(1))
            alerts.hear([], _after(6))
            assert time.monotonic() - began < 1.0, "the trader does not wait for anybody"
            chat.status = 200
            wait_for(chat.arrived, lambda: chat.told("break/") == ["alert", "cleared"])
            assert mail.mails == []
            mail.fault = ""
            mail.wake()
            wait_for(mail.arrived, lambda: mailed(mail, "break/") == ["alert", "cleared"])
        assert logged(log, "break/") == ["alert", "cleared"]
        first, last = mail.mails
        assert last["In-Reply-To"] == first["Message-ID"]
        assert str(first["Message-ID"]) == f"<{chat.calls[0][0]}@alerts.aegis.invalid>", "one key for one message"
        assert PASSWORD not in log.read_text(encoding="utf-8")
        assert "secret-token" not in log.read_text(encoding="utf-8")


def test_what_did_not_arrive_is_delivered_after_a_restart_and_what_did_is_not(tmp_path: Path) -> None:
    log = tmp_path / "alerts.jsonl"
    with ChatService() as chat, MailServer() as mail:
        chat.status = 503
        with closing(AlertDispatch(log, SETTINGS, (WebhookChannel(chat.url, timeout_seconds=5.0), _email(mail)))) as a:
            a.hear([BREAK], NOON)
            wait_for(mail.arrived, lambda: len(mail.mails) == 1)
        chat.status = 200
        with closing(AlertDispatch(log, SETTINGS, (WebhookChannel(chat.url, timeout_seconds=5.0), _email(mail)))) as a:
            a.hear([BREAK], _after(60))
            wait_for(chat.arrived, lambda: chat.told("break/") == ["alert"])
            a.hear([], _after(61))
            a.hear([], _after(70))
            wait_for(chat.arrived, lambda: chat.told("break/") == ["alert", "cleared"])
            wait_for(mail.arrived, lambda: mailed(mail, "break/") == ["alert", "cleared"])
        # A crash after the receiver's answer and before its line: sent again, under the same key.
        lines = log.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line).get("key") != chat.calls[0][0]]
        log.write_text("\n".join([*kept, '{"event": "al']), encoding="utf-8")
        with closing(AlertDispatch(log, SETTINGS, (WebhookChannel(chat.url, timeout_seconds=5.0),))):
            wait_for(chat.arrived, lambda: len(chat.calls) == 3)
        assert chat.calls[2] == chat.calls[0]


def test_a_cause_that_flickers_is_one_cause_and_one_that_comes_back_is_another(tmp_path: Path) -> None:
    log = tmp_path / "alerts.jsonl"
    with closing(AlertDispatch(log, SETTINGS)) as alerts:
        for second in range(20):
            alerts.hear([BREAK] if second % 4 == 0 else [], _after(second))
        alerts.hear([], _after(30))
        alerts.hear([BREAK], _after(40))
    assert logged(log, "break/") == ["alert", "cleared", "alert"]


def test_while_the_log_cannot_be_written_the_channels_are_told(tmp_path: Path) -> None:
    log = tmp_path / "alerts.jsonl"
    with (
        ChatService() as chat,
        closing(AlertDispatch(log, SETTINGS, [WebhookChannel(chat.url, timeout_seconds=5)])) as a,
    ):
        log.mkdir()
        a.hear([BREAK], NOON)
        wait_for(chat.arrived, lambda: chat.told("break/") == ["alert"])
        assert "alerts.jsonl cannot be written" in a.problems()[0]
        log.rmdir()
        a.hear([BREAK, Cause("slippage", "t", "b", "warning")], _after(1))
        wait_for(chat.arrived, lambda: chat.told("slippage") == ["alert"])
        assert logged(log, "break/") == logged(log, "slippage") == ["alert"]
        assert len(chat.told("break/")) == 1


def test_a_new_channel_is_told_of_what_stands_and_not_of_the_past(tmp_path: Path) -> None:
    log = tmp_path / "alerts.jsonl"
    with closing(AlertDispatch(log, SETTINGS)) as alerts:
        alerts.hear([BREAK], NOON)
        alerts.hear([], _after(1))
        alerts.hear([Cause("slippage", "t", "b", "warning")], _after(9))
    with ChatService() as chat, closing(AlertDispatch(log, SETTINGS, [WebhookChannel(chat.url, timeout_seconds=5)])):
        wait_for(chat.arrived, lambda: len(chat.calls) == 1)
        assert chat.told("slippage") == ["alert"]


@pytest.mark.parametrize("fault", ["refuse", "later", "cut"])
def test_a_mail_server_that_fails_is_named_and_tried_again(fault: str, tmp_path: Path) -> None:
    with MailServer() as mail:
        mail.fault = fault
        with closing(AlertDispatch(tmp_path / "a.jsonl", SETTINGS, [_email(mail)])) as alerts:
            nasty = Cause("break/\r\nBcc: x@y", "title\r\nBcc: thief@example.com\0", "body\r\n.\r\nQUIT\r\n")
            alerts.hear([nasty], NOON)
            until = time.monotonic() + 20.0
            while not alerts.problems() and time.monotonic() < until:
                time.sleep(0.001)
            assert f"mail server 127.0.0.1:{mail.port}" in alerts.problems()[0]
            mail.fault = ""
            taken = len(mail.mails)
            wait_for(mail.arrived, lambda: len(mail.mails) > taken or (fault == "cut" and taken > 1))
        assert mail.mails[-1]["Bcc"] is None
        assert len({mail["Message-ID"] for mail in mail.mails}) == 1


def test_a_wrong_password_is_not_shown_and_one_in_the_clear_is_refused(tmp_path: Path) -> None:
    with MailServer(wants_login=True) as server:
        settings = EmailSettings(host="127.0.0.1", port=server.port, recipients=("a@b",), ca_file=CERTIFICATE)
        wrong = EmailChannel(settings, {"AEGIS_SMTP_USERNAME": USER, "AEGIS_SMTP_PASSWORD": "canary-wrong-93"})
        with closing(AlertDispatch(tmp_path / "a.jsonl", SETTINGS, [wrong])) as alerts:
            alerts.hear([BREAK], NOON)
            until = time.monotonic() + 20.0
            while not alerts.problems() and time.monotonic() < until:
                time.sleep(0.001)
            (said,) = alerts.problems()
    assert "SMTPAuthenticationError" in said
    assert "canary-wrong" not in said + (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="never sent in the clear"):
        EmailChannel(settings.model_copy(update={"security": "none"}), LOGIN)
    with pytest.raises(ConfigurationError, match="no recipients"):
        EmailChannel(settings.model_copy(update={"recipients": ()}), {})
