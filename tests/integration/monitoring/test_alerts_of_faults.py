"""Every class of fault reaches a person once, through log, webhook and mail, and so does its end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from aegis.config_monitoring import AlertSettings, MonitoringSettings
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.alert_channels import EmailChannel, WebhookChannel
from aegis.monitoring.alert_dispatch import AlertDispatch
from aegis.monitoring.causes import causes_of
from aegis.monitoring.feed_health import FeedReading
from tests.integration.live_trading.trading_process import IN_SESSION
from tests.integration.monitoring.mail_server import CERTIFICATE, PASSWORD, USER, MailServer
from tests.integration.monitoring.receivers import ChatService, logged, mailed, wait_for
from tests.integration.monitoring.watched_account import WatchedAccount
from tests.integration.vendors.vendor_server import Reset, Status
from tests.integration.venues.alpaca.rest import After, Before
from tests.integration.venues.alpaca.server import AlpacaVenue

Change = Callable[[WatchedAccount], None]
DELIVERY_SECONDS = max(MonitoringSettings().webhook_timeout_seconds, AlertSettings().email.timeout_seconds)
"""A message is sent as soon as a cause is seen; a receiver that takes longer than this is given up and tried again."""


class Told:
    """An account whose alerts go to a log, a chat service and a mail server."""

    def __init__(self, venue: AlpacaVenue, folder: Path, chat: ChatService, mail: MailServer) -> None:
        email = {
            "host": "127.0.0.1", "port": mail.port, "recipients": ["desk@localhost"], "ca_file": CERTIFICATE,
        }  # fmt: skip
        self.settings = AlertSettings(email=email, retry_first_seconds=0.05)
        self.chat, self.mail, self.log = chat, mail, folder / "alerts.jsonl"
        channels = (
            WebhookChannel(chat.url, timeout_seconds=5.0),
            EmailChannel(self.settings.email, {"AEGIS_SMTP_USERNAME": USER, "AEGIS_SMTP_PASSWORD": PASSWORD}),
        )
        self.dispatch = AlertDispatch(self.log, self.settings, channels)
        self.account = WatchedAccount(venue, folder, told=self.dispatch)

    def look_until(self, cause: str, *, stands: bool, step_seconds: float) -> float:
        """Look every few seconds until a cause stands, or has been over for long enough; return how long it took."""
        began = self.account.clock.now_utc()
        gone_since: datetime | None = None
        while True:
            snapshot = self.account.look(step_seconds)
            found = any(one.key.startswith(cause) for one in causes_of(snapshot, self.settings))
            now = self.account.clock.now_utc()
            gone_since = None if found else gone_since or now
            if found == stands and (stands or (now - gone_since).total_seconds() >= self.settings.clear_after_seconds):
                return (now - began).total_seconds()
            assert (now - began).total_seconds() < 600, [one.key for one in causes_of(snapshot, self.settings)]

    def heard(self, cause: str) -> list[list[str]]:
        """Return what was told of a cause by the log, the chat service and the mails."""
        return [logged(self.log, cause), self.chat.told(cause), mailed(self.mail, cause)]

    def require(self, cause: str, expected: list[str], before: int) -> None:
        """Require exactly these messages of a cause through each way, after those that it had before."""
        wait_for(self.chat.arrived, lambda: len(self.chat.told(cause)) >= before + len(expected))
        wait_for(self.mail.arrived, lambda: len(mailed(self.mail, cause)) >= before + len(expected))
        assert [found[before:] for found in self.heard(cause)] == [expected] * 3


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with AlpacaVenue() as venue, ChatService() as chat, MailServer(wants_login=True) as mail:
        venue.begin_again()
        venue.book.is_open, venue.book.now_utc = True, IN_SESSION
        made = Told(venue, tmp_path_factory.mktemp("account"), chat, mail)
        made.account.look()
        made.account.trade("held", "ABC", 10, "10.00")
        with closing(made.account), closing(made.dispatch):
            yield made


def _switch(account: WatchedAccount) -> KillSwitch:
    return KillSwitch(account.config.kill_switch)


def _lose_lease(account: WatchedAccount) -> None:
    account.config.lease.rename(account.folder / "lease.elsewhere")


def _find_lease(account: WatchedAccount) -> None:
    (account.folder / "lease.elsewhere").rename(account.config.lease)
    # Whoever lost it stopped the account, and a person lets orders leave again.
    _switch(account).release("found again", actor="ada", at_utc=account.clock.now_utc())


def _rename_table(before: str, after: str) -> Change:
    def change(account: WatchedAccount) -> None:
        with closing(sqlite3.connect(account.folder / "journal.sqlite")) as connection:
            connection.execute(f"ALTER TABLE {before} RENAME TO {after}")

    return change


def _down(account: WatchedAccount) -> None:
    account.dead = {"stream"}
    account.venue.rest.script("GET", *[Before(Status(503))] * 10_000)


def _up(account: WatchedAccount) -> None:
    account.venue.rest.reset(account.venue.book)
    account.dead = set()


def _lose_money(account: WatchedAccount) -> None:
    account.venue.book.charge("300", "three per cent")


def _release_loss(account: WatchedAccount) -> None:
    account.venue.book.charge("-300", "paid back")
    account.rules.release("daily loss", actor="ada", reason="a fee, paid back")


def _lose_an_order(account: WatchedAccount) -> None:
    account.venue.rest.script("POST", After(Reset()))
    account.venue.rest.script("GET", *[Before(Status(503))] * 10_000)
    with pytest.raises(Exception, match="order"):
        account.send("ABC", 3)


def _reject(account: WatchedAccount) -> None:
    for shares in (1, 2, 3):
        account.venue.book.end(account.send("ABC", shares), "rejected")
        account.broker.catch_up()


def _set(**values: object) -> Change:
    return lambda account: vars(account).update(values)


def _say(problem: str) -> Change:
    def change(account: WatchedAccount) -> None:
        account.dead = {"feed"} if problem else set()
        account.feed.reading = FeedReading(source="simulated", heard_at_utc=account.clock.now_utc(), problem=problem)

    return change


@dataclass(frozen=True)
class FaultClass:
    """A cause, what makes it and what mends it."""

    cause: str
    make: Change
    mend: Change
    step_seconds: float = 5.0


FAULTS = (
    FaultClass(
        "kill_switch",
        lambda a: _switch(a).engage("enough", actor="ada", at_utc=a.clock.now_utc()),
        lambda a: _switch(a).release("over", actor="ada", at_utc=a.clock.now_utc()),
    ),
    FaultClass("lease_lost", _lose_lease, _find_lease),
    FaultClass(
        "journal_not_writable",
        _rename_table("journal_events", "elsewhere"),
        _rename_table("elsewhere", "journal_events"),
    ),
    FaultClass("failing/", _down, _up),
    FaultClass("broker_silent", _down, _up, step_seconds=9.0),
    FaultClass("broker_statement_old", _down, _up, step_seconds=9.0),
    FaultClass(
        "break/",
        lambda a: a.venue.book.trade_by_hand("ABC", "-1", "10"),
        lambda a: a.venue.book.trade_by_hand("ABC", "1", "10"),
    ),
    FaultClass("breaker/daily loss", _lose_money, _release_loss),
    FaultClass("clock_skew", _set(skew_seconds=5.0), _set(skew_seconds=0.0)),
    FaultClass("order_unknown/", _lose_an_order, _up),
    FaultClass("reject_streak", _reject, lambda a: a.trade("taken again", "ABC", 1, "10.00")),
    FaultClass("data_silent/simulated", _set(dead={"feed"}), _set(dead=set())),
    FaultClass("data_problem/simulated", _say("minutes are missing"), _say(""), step_seconds=1.0),
    FaultClass("stale_quote/ABC", _set(dead={"quotes"}), _set(dead=set())),
    FaultClass("halted/ABC", lambda a: a.rules.halt("ABC"), lambda a: a.rules.resume("ABC")),
    FaultClass("drift/", _set(drift=["slippage has moved; shrink"]), _set(drift=[])),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.cause)
def test_a_fault_is_told_once_within_a_minute_and_so_is_its_end(told: Told, fault: FaultClass) -> None:
    cause = fault.cause
    before = len(logged(told.log, cause))
    told.require(cause, [], before)
    assert told.heard(cause) == [["alert", "cleared"] * (before // 2)] * 3
    fault.make(told.account)
    took = told.look_until(cause, stands=True, step_seconds=fault.step_seconds)
    assert took + DELIVERY_SECONDS < 60.0, "from the fault to the message, whatever may be silent for a while"
    for _ in range(3):
        told.account.look(1)
    told.require(cause, ["alert"], before)
    fault.mend(told.account)
    told.look_until(cause, stands=False, step_seconds=fault.step_seconds)
    told.require(cause, ["alert", "cleared"], before)


def test_settings_that_users_see_are_those_that_are_tested() -> None:
    assert MonitoringSettings().alerts.max_feed_silence_seconds == 30.0
