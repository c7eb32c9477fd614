"""Confirming a close that a data check doubts: a row of its own, with who, when and why.

Belongs here: what may be confirmed, and writing it. Which checks take a confirmation is the rule table's; matching it
with bars is :mod:`aegis.market_data.confirmed_closes`. Bars and verdicts are not written: the gate judges again when
the session is run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_quality import QualitySettings
from aegis.errors import LakeError, MalformedData
from aegis.instruments import require_symbol
from aegis.lake.arrow import arrow_rows
from aegis.lake.lake import CommitMessage, Lake, table_name
from aegis.lake.marks import required_reason
from aegis.lake.tables import CONFIRMED_CLOSES, CORPORATE_ACTIONS, LISTINGS, RAW_BARS, SOURCE_AGREEMENT
from aegis.market_data.confirmed_closes import is_same_price, new_confirmation
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS
from aegis.market_data.quality_gate import GateResult, run_quality_gate
from aegis.market_data.quarantine import untradable_symbols

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Claim:
    """What a person says of a bar.

    Parameters
    ----------
    symbol : str
    session : date
    close_usd : float
        The close as they found it.
    open_usd : float or None
        The open too, where they looked it up.
    reason : str
        What moved it, and where it was looked up.
    person : str
        Who.
    """

    symbol: str
    session: date
    close_usd: float
    open_usd: float | None
    reason: str
    person: str


@dataclass(frozen=True)
class Confirmation:
    """What a confirmation did.

    Parameters
    ----------
    snapshot : int or None
        Snapshot that holds it; None where the same was confirmed before and nothing was written.
    settles : Mapping of str to date
        Checks that take it, each with the session in which they doubted the close.
    still_blocked : Mapping of date to list of str
        Sessions of these that stay blocked, with the checks that block them.
    """

    snapshot: int | None
    settles: Mapping[str, date]
    still_blocked: Mapping[date, list[str]]


def confirm_close(
    lake: Lake,
    claim: Claim,
    *,
    at_utc: datetime,
    calendar: TradingCalendar,
    settings: QualitySettings,
    code_version: str,
) -> Confirmation:
    """Store that a person found a doubted close to be true.

    Parameters
    ----------
    lake : Lake
    claim : Claim
    at_utc : datetime
        When, aware. The confirmation is known from then on.
    calendar : TradingCalendar
    settings : QualitySettings
    code_version : str

    Raises
    ------
    LakeError
        There is no reason or person, or other writers held the lake.
    MalformedData
        The bar is not stored once, its prices are not those of the claim, or no check that takes a confirmation doubts
        it. Nothing has been written.

    Notes
    -----
    Only what is doubted can be confirmed, so nobody confirms in advance what may come out wrong. The same claim again
    writes nothing.
    """
    require_symbol(claim.symbol)
    reason, person = required_reason(claim.reason), _person(claim.person)
    bar = _stored_bar(lake, claim)
    new = new_confirmation(
        bar, is_open_confirmed=claim.open_usd is not None, person=person, reason=reason, at_utc=at_utc
    )
    start = calendar.offset(claim.session, -LOOKBACK_SESSIONS)
    last = min(calendar.next(claim.session), lake.last_session(RAW_BARS) or claim.session)
    stored = lake.read(CONFIRMED_CLOSES, first=start, last=last)
    is_new = not _holds_already(stored, claim, bar)
    known = pd.concat([part for part in (stored, new if is_new else None) if part is not None and len(part)])
    result = _judged(lake, known, start, (claim.session, last), calendar, settings)
    settles = _settled(result, claim)
    if not settles:
        raise MalformedData(
            f"{claim.symbol} {claim.session}: close {bar['close_raw_usd']:.10g} is doubted by no check that a "
            "confirmation settles, so there is nothing to confirm; `aegis data quality "
            f"--session {claim.session} --symbol {claim.symbol}` says what was found. Prices that contradict each "
            "other or a recorded action are corrected, not confirmed; an open is confirmed with --open"
        )
    if not is_new:
        return Confirmation(None, settles, result.blocked_sessions)
    run = f"aegis data confirm by {person}"
    snapshot = _append(lake, new, CommitMessage(CONFIRMED_CLOSES.key, str(claim.session), run, code_version, reason))
    return Confirmation(snapshot, settles, result.blocked_sessions)


def _stored_bar(lake: Lake, claim: Claim) -> pd.Series:
    rows = lake.read(RAW_BARS, first=claim.session, last=claim.session, symbols=[claim.symbol])
    if len(rows) != 1:
        raise MalformedData(
            f"{claim.symbol} {claim.session}: {len(rows)} bars are stored, expected one; fetch the session first, or "
            "keep one copy of the row in the source"
        )
    bar = rows.iloc[0]
    for name, given in (("close", claim.close_usd), ("open", claim.open_usd)):
        held = bar[f"{name}_raw_usd"]
        if given is not None and not is_same_price(held, given):
            raise MalformedData(
                f"{claim.symbol} {claim.session}: the stored {name} is {held:.10g} USD and {given:.10g} was to be "
                "confirmed; if yours is right, correct the bar (aegis data correct), if the stored one is, name it"
            )
    return bar


def _holds_already(stored: pd.DataFrame, claim: Claim, bar: pd.Series) -> bool:
    same = stored[(stored["session"] == pd.Timestamp(claim.session)) & (stored["symbol"] == claim.symbol)]
    return any(
        is_same_price(bar["close_raw_usd"], close)
        and (claim.open_usd is None or is_same_price(bar["open_raw_usd"], opened))
        for close, opened in zip(same["close_raw_usd"], same["open_raw_usd"], strict=True)
    )


def _judged(
    lake: Lake,
    known: pd.DataFrame,
    start: date,
    judged: tuple[date, date],
    calendar: TradingCalendar,
    settings: QualitySettings,
) -> GateResult:
    first, last = judged
    listings = lake.read(LISTINGS)
    return run_quality_gate(
        lake.read(RAW_BARS, first=start, last=last),
        listings=listings,
        actions=lake.read(CORPORATE_ACTIONS, first=start, last=last),
        calendar=calendar,
        settings=settings,
        snapshot_id=lake.snapshot_id(),
        first=first,
        last=last,
        agreement=lake.read(SOURCE_AGREEMENT, first=first, last=last),
        protected=untradable_symbols(listings, calendar.sessions(first, last)),
        confirmed=known,
    )


def _settled(result: GateResult, claim: Claim) -> dict[str, date]:
    """Return the checks that would doubt the claimed close without a confirmation, each with its session."""
    rows = result.confirmed_rows
    own = (rows["symbol"] == claim.symbol) & (rows["confirmed_session"] == pd.Timestamp(claim.session))
    found = rows[own]
    return dict(zip(found["check"], found["session"].dt.date, strict=True))


def _append(lake: Lake, new: pd.DataFrame, message: CommitMessage) -> int:
    """Add the row. An insert beside other people's, not a replacement of the session: two at once lose nothing."""
    rows = arrow_rows(CONFIRMED_CLOSES, new)

    def add() -> None:
        lake.connection.register("incoming_rows", rows)
        target = table_name(CONFIRMED_CLOSES)
        lake.connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM incoming_rows")  # noqa: S608
        lake.connection.unregister("incoming_rows")

    return lake.transact(add, message)


def _person(person: str) -> str:
    name = person.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise LakeError(
            f"actor {ascii(name)[:60]} cannot stand: it must be 1 to {_LONGEST_NAME} printable characters; say who "
            "confirms it"
        )
    return name
