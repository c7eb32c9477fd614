"""What of a snapshot a person must know: the causes that stand, each under a name that stays the same while it does.

Belongs here: the rules, as a pure function. Telling a person once, and that it is over, is
:mod:`aegis.monitoring.alert_dispatch`.

Notes
-----
A cause's key names what is wrong and not its numbers: a break that grows by ten shares is the same break. Quotes and
sources of market data are silent between sessions and count only while the market is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from aegis.config_monitoring import AlertSettings
from aegis.live_trading.alerts import Severity
from aegis.live_trading.live_feeds import StandingStop
from aegis.monitoring.snapshot import MonitorSnapshot

_NUMBERS = re.compile(r"[0-9a-f]{32}|[-+]?\d[\d.,:TZ_-]*")
_KEY_LETTERS = 12
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that stands wrong.

    Parameters
    ----------
    key : str
        Names it: ``stale_quote/ABC``. Equal keys are one cause.
    title, body : str
        For a person: what, and what to do.
    severity : {"info", "warning", "critical"}
        A critical one makes the account unhealthy.
    """

    key: str
    title: str
    body: str
    severity: Severity = "critical"


def causes_of(snapshot: MonitorSnapshot, settings: AlertSettings) -> tuple[Cause, ...]:
    """Return what stands wrong, the gravest kinds first; each key once.

    Parameters
    ----------
    snapshot : MonitorSnapshot
    settings : AlertSettings
        From when on slippage, rejections and silence are worth a message.
    """
    found: dict[str, Cause] = {}
    for rule in (_stopped, _lease, _failures, _breaks, _stops, _orders, _feeds, _slippage, _drift, _channels):
        for cause in rule(snapshot, settings):
            found.setdefault(cause.key, cause)
    return tuple(found.values())


def _stopped(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    if snapshot.kill_switch:
        yield Cause("kill_switch", "The kill switch is engaged", f"{snapshot.kill_switch}; a person releases it")


def _lease(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    if not snapshot.has_lease:
        held = snapshot.lease_holder or "nobody"
        yield Cause(
            "lease_lost",
            "The lease of the account is lost",
            f"held by {held}, expected process {snapshot.process} on {snapshot.host}; stop all but one trading process",
        )


def _failures(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    for said in snapshot.failures:
        if _is_of_journal(said, snapshot):
            yield _journal_cause(said)
        else:
            yield Cause(f"failing/{_digest(said)}", "A step of the trading process failed", said)


def _breaks(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    for said in snapshot.breaks:
        if _is_of_journal(said, snapshot):  # its head could not be anchored
            yield _journal_cause(said)
        else:
            title = "The books differ from the broker's: only reducing orders leave"
            yield Cause(f"break/{_digest(said)}", title, said)


def _is_of_journal(said: str, snapshot: MonitorSnapshot) -> bool:
    return said.startswith(f"journal of {snapshot.account}")


def _journal_cause(said: str) -> Cause:
    return Cause("journal_not_writable", "The journal cannot be used: nothing is sent", said)


def _stops(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    for stop in snapshot.stops:
        word, _, symbol = stop.name.rpartition(" ")
        if word == "stale quote":
            if snapshot.is_session_open:
                yield _told(stop, f"stale_quote/{symbol}", f"The quote of {symbol} is stale", "warning")
        elif word == "halted":
            yield _told(stop, f"halted/{symbol}", f"{symbol} is halted", "warning")
        elif stop.name in _FEED_STOPS:
            key, title = _FEED_STOPS[stop.name]
            # Each difference is a cause of its own, and says more.
            if not (key == "books_not_reconciled" and snapshot.breaks):
                yield _told(stop, key, title)
        else:
            yield _told(stop, f"breaker/{stop.name}", f"The breaker '{stop.name}' is tripped")


_FEED_STOPS = {
    "stale account": ("broker_statement_old", "The broker's statement of account is old"),
    "silent order stream": ("broker_silent", "The broker's order stream is silent"),
    "wrong clock": ("clock_skew", "The clock is not known to agree with the broker's"),
    "books not reconciled": ("books_not_reconciled", "The books were not compared with the broker's"),
}


def _orders(snapshot: MonitorSnapshot, settings: AlertSettings) -> Iterator[Cause]:
    terms = {order.client_order_id: order for order in snapshot.open_orders}
    for name in snapshot.unknown_orders:
        order = terms.get(name)
        said = f"{order.quantity_shares:g} {order.symbol}" if order is not None else "unknown terms"
        yield Cause(
            f"order_unknown/{name}",
            "Nobody knows whether an order arrived",
            f"order {name} ({said}): the broker is asked at every look, and nothing new is sent until it answers",
        )
    for order in snapshot.open_orders:
        sent = order.submitted_at_utc
        if sent is None or order.acknowledged_at_utc is not None or order.state != "submitted":
            continue
        waited = (snapshot.at_utc - sent).total_seconds()
        if waited > settings.max_unanswered_seconds and order.client_order_id not in snapshot.unknown_orders:
            yield Cause(
                f"order_unanswered/{order.client_order_id}",
                f"An order in {order.symbol} has no answer",
                f"order {order.client_order_id} ({order.quantity_shares:g} {order.symbol}) was sent {waited:.0f} s "
                f"ago, the venue should answer within {settings.max_unanswered_seconds:g} s; ask the broker",
                "warning",
            )
    if snapshot.rejects_in_a_row >= settings.max_rejects_in_a_row:
        yield Cause(
            "reject_streak",
            "The venue rejects order after order",
            f"{snapshot.rejects_in_a_row} in a row, {settings.max_rejects_in_a_row} are worth a message; read the "
            "reasons in the journal",
        )


def _feeds(snapshot: MonitorSnapshot, settings: AlertSettings) -> Iterator[Cause]:
    if not snapshot.is_session_open:
        return
    for feed in snapshot.feeds:
        heard = feed.heard_at_utc
        silence = None if heard is None else (snapshot.at_utc - heard).total_seconds()
        if silence is None or silence > settings.max_feed_silence_seconds:
            since = "never heard" if silence is None else f"silent for {silence:.0f} s"
            yield Cause(
                f"data_silent/{feed.source}",
                f"Market data of {feed.source} is silent",
                f"{since}, {settings.max_feed_silence_seconds:g} s are allowed during a session; {feed.problem}",
            )
        elif feed.problem:
            yield Cause(
                f"data_problem/{feed.source}", f"Market data of {feed.source} is in trouble", feed.problem, "warning"
            )


def _slippage(snapshot: MonitorSnapshot, settings: AlertSettings) -> Iterator[Cause]:
    total = snapshot.slippage_total
    if total.slippage_bps is None or total.fills < settings.slippage_min_fills:
        return
    if total.slippage_bps > settings.max_slippage_bps:
        worst = sorted(snapshot.slippage_by_order, key=lambda part: -part.slippage_usd)[:_LISTED]
        listed = ", ".join(f"{part.symbol} {part.slippage_usd:,.2f} USD" for part in worst)
        yield Cause(
            "slippage",
            "Slippage is beyond its bound",
            f"{total.slippage_bps:.1f} bps of {total.traded_usd:,.0f} USD against arrival over {total.fills} fills, "
            f"{settings.max_slippage_bps:g} are allowed; most: {listed}",
            "warning",
        )


def _drift(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    for said in snapshot.drift:
        yield Cause(f"drift/{_digest(said)}", "Drift limits the account", said, "warning")


def _channels(snapshot: MonitorSnapshot, _settings: AlertSettings) -> Iterator[Cause]:
    for said in snapshot.silent_channels:
        name, _, problem = said.partition(": ")
        yield Cause(f"alert_channel/{name}", f"Alerts do not arrive through {name}", problem, "warning")


def _told(stop: StandingStop, key: str, title: str, severity: Severity = "critical") -> Cause:
    since = "" if stop.since_utc is None else f"since {stop.since_utc:%Y-%m-%d %H:%M:%S} UTC "
    return Cause(key, title, f"{since}it stops {stop.stops}: {stop.told}", severity)


def _digest(said: str) -> str:
    """Return a name for a message that stays while only its numbers, instants and order ids change."""
    return sha256(_NUMBERS.sub("#", said).encode()).hexdigest()[:_KEY_LETTERS]
