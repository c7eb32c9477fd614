"""Corporate actions of what an account at a broker holds, as rows of its journal.

Belongs here: which rows an action makes, and whether a broker has done what an action says. What the rows mean for
shares is :mod:`aegis.live_trading.held_positions`, for cash :mod:`aegis.live_trading.cash_balance`; the evening's book
books the same actions by the matching kernel (``docs/fills.md``).

Notes
-----
Splits and dividends are booked at the opening, dividends first, as they are per share held before. A merger or a
delisting is booked when the broker shows that it has made the exchange: venues do that in the night before the session,
at its close, or days later. Amounts that depend on a price (cash in lieu of a fraction, what an exchange pays) are
estimates at the last close that is known; what is paid in the end is booked as it is paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.journal import NewEvent
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_splits import shares_after_split
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.live_trading.held_positions import AccountEventKind, account_entry, split_entry


def opening_entries(
    actions: Iterable[CorporateAction],
    held: Mapping[str, float],
    *,
    session: date,
    at_utc: datetime,
    closes_usd: Mapping[str, float],
) -> list[NewEvent]:
    """Return the rows of the dividends and splits of what is held, in the order in which they are booked.

    Parameters
    ----------
    actions : iterable of CorporateAction
        Of the session, of all symbols.
    held : mapping of str to float
        Signed shares before the opening, by permanent symbol.
    session : date
        Of which `actions` are.
    at_utc : datetime
        When they are booked.
    closes_usd : mapping of str to float
        Last raw closes before the session; of a symbol without one a fraction has no estimate.
    """
    own = [action for action in actions if held.get(action.symbol)]
    dividends = [action for action in own if action.action == "dividend" and action.dividend_usd]
    rows = [
        _dividend_entry(action, held[action.symbol], number, session=session, at_utc=at_utc)
        for number, action in enumerate(dividends)
    ]
    for action in own:
        if action.action == "split" and action.split_ratio != 1.0:
            shares = held[action.symbol]
            whole = shares_after_split(shares, action.split_ratio, is_fractional=not float(shares).is_integer())
            fraction, close = shares * action.split_ratio - whole, closes_usd.get(action.symbol)
            in_lieu = None if close is None else fraction * close / action.split_ratio
            rows.append(
                split_entry(
                    action.symbol,
                    action.split_ratio,
                    session=session,
                    at_utc=at_utc,
                    in_lieu_usd=in_lieu if abs(fraction) > _NO_FRACTION else None,
                )
            )
    return rows


def opening_marker(
    actions: Iterable[CorporateAction],
    held: Mapping[str, float],
    *,
    session: date,
    at_utc: datetime,
    closes_usd: Mapping[str, float],
) -> NewEvent:
    """Return the row that says that the opening of a session was booked, with the exchanges that it leaves to come."""
    coming = exchanges(actions, held)
    symbols = {name for action in coming for name in (action.symbol, action.acquirer) if name is not None}
    payload = {
        "exchanges": [action.to_record() for action in coming],
        "closes_usd": {symbol: closes_usd[symbol] for symbol in sorted(symbols) if symbol in closes_usd},
    }
    key = f"{AccountEventKind.OPENING_BOOKED}:{session}"
    return account_entry(AccountEventKind.OPENING_BOOKED, payload, session=session, at_utc=at_utc, key=key)


@dataclass(frozen=True, slots=True)
class ComingExchange:
    """A merger or delisting of what is held that the broker has not shown yet.

    Parameters
    ----------
    action : CorporateAction
        What happens.
    session : date
        The first without trading in the symbol.
    shares : float
        Signed shares held.
    closes_usd : mapping of str to float
        Last raw closes before it.
    """

    action: CorporateAction
    session: date
    shares: float
    closes_usd: Mapping[str, float]


class AnnouncedExchanges:
    """The exchanges that openings announced, as far as a journal was read; rows come in its order, each once."""

    def __init__(self) -> None:
        self._announced: dict[str, tuple[CorporateAction, date, Mapping[str, float]]] = {}

    def take(self, row: JournalRow) -> None:
        """Take the next row."""
        if row.kind == AccountEventKind.OPENING_BOOKED:
            for record in row.payload["exchanges"]:
                action = CorporateAction.from_record(record)
                self._announced[action.symbol] = action, row.session_date, row.payload["closes_usd"]
        elif row.kind == AccountEventKind.SHARES_EXCHANGED:
            self._announced.pop(row.payload["symbol"], None)
        elif row.kind == AccountEventKind.POSITIONS_ADOPTED:
            self._announced.clear()  # somebody took the broker's word for what is held, exchanged or not

    def coming(self, held: Mapping[str, float]) -> tuple[ComingExchange, ...]:
        """Return those of what is still held, oldest first."""
        return tuple(
            ComingExchange(action, session, held[symbol], closes_usd)
            for symbol, (action, session, closes_usd) in self._announced.items()
            if held.get(symbol)
        )


def exchanges(actions: Iterable[CorporateAction], held: Mapping[str, float]) -> list[CorporateAction]:
    """Return the mergers and delistings of what is held; of a symbol that has both, the merger."""
    found: dict[str, CorporateAction] = {}
    for action in actions:
        if held.get(action.symbol) and action.action in ("merger", "delisting"):
            known = found.get(action.symbol)
            if known is None or known.action == "delisting":
                found[action.symbol] = action
    return list(found.values())


def received_shares(action: CorporateAction, shares: float) -> float:
    """Return the whole shares of the acquirer that an exchange of `shares` brings."""
    return shares_after_split(shares, action.merger_ratio) if action.is_share_merger else 0.0


def is_exchanged(action: CorporateAction, held: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
    """Return whether a broker shows an exchange as made: the old shares are gone, and the acquirer's are there."""
    if abs(theirs.get(action.symbol, 0.0)) > FILL_TOLERANCE_SHARES:
        return False
    received = received_shares(action, held[action.symbol])
    if action.acquirer is None or not received:
        return True
    expected = held.get(action.acquirer, 0.0) + received
    return abs(theirs.get(action.acquirer, 0.0) - expected) <= FILL_TOLERANCE_SHARES


def exchange_entry(coming: ComingExchange, *, at_utc: datetime) -> NewEvent:
    """Return the row of an exchange that the broker has made, dated to its session, whenever that is."""
    action, shares, session = coming.action, coming.shares, coming.session
    received = received_shares(action, shares)
    payload = {
        "action": action.action,
        "symbol": action.symbol,
        "shares": shares,
        "acquirer": action.acquirer if received else None,
        "received_shares": received,
        "amount_usd": _paid_usd(action, shares, received, coming.closes_usd),
    }
    key = f"{AccountEventKind.SHARES_EXCHANGED}:{action.symbol}:{session}"
    return account_entry(AccountEventKind.SHARES_EXCHANGED, payload, session=session, at_utc=at_utc, key=key)


def disputed_splits(
    actions: Iterable[CorporateAction],
    held: Mapping[str, float],
    theirs: Mapping[str, float],
    *,
    session: date,
    label: str,
) -> list[str]:
    """Return what a broker shows otherwise than the splits of a session say, with both sides and the remedy.

    Parameters
    ----------
    actions : iterable of CorporateAction
        Of the session, booked.
    held, theirs : mapping of str to float
        Signed shares by our journal and by the broker, by permanent symbol.
    session : date
        Their ex-date.
    label : str
        Account and instant.
    """
    return [
        f"{label} {action.symbol}, session {session}: a split of ratio {action.split_ratio:g} makes "
        f"{held[action.symbol]:g} shares of what was held, and the broker shows {theirs.get(action.symbol, 0.0):g}; "
        "ask the broker whether it has made the split. If it makes another or none, correct the action at the source, "
        'and take over what it holds: `aegis positions take-over --reason "..."`'
        for action in actions
        if action.action == "split"
        and action.symbol in held
        and abs(theirs.get(action.symbol, 0.0) - held[action.symbol]) > FILL_TOLERANCE_SHARES
    ]


def not_exchanged(coming: ComingExchange, *, label: str) -> str:
    """Return the break of an exchange that the broker has not made though its session is over."""
    action, shares, session = coming.action, coming.shares, coming.session
    received = received_shares(action, shares)
    brings = f"{received:g} shares of {action.acquirer} and cash" if received else "cash"
    return (
        f"{label} {action.symbol}, session {session}: a {action.action} takes {shares:g} shares for {brings}, and the "
        "broker shows none of it; ask the broker when it makes the exchange. If it makes another one, correct the "
        'action at the source, or take over what it holds: `aegis positions take-over --reason "..."`'
    )


def _dividend_entry(
    action: CorporateAction, shares: float, number: int, *, session: date, at_utc: datetime
) -> NewEvent:
    payload = {
        "symbol": action.symbol,
        "shares": shares,
        "dividend_usd": action.dividend_usd,
        "amount_usd": shares * action.dividend_usd,
        "pay_session": (action.pay_session or session).isoformat(),
    }
    key = f"{AccountEventKind.DIVIDEND_BOOKED}:{action.symbol}:{session}:{number}"
    return account_entry(AccountEventKind.DIVIDEND_BOOKED, payload, session=session, at_utc=at_utc, key=key)


def _paid_usd(action: CorporateAction, shares: float, received: float, closes_usd: Mapping[str, float]) -> float | None:
    """Return what an exchange pays in cash, by the last closes; None where a price is missing."""
    if action.is_cash_merger:
        return shares * action.merger_cash_usd
    if action.is_share_merger and action.acquirer is not None:
        fraction, close = shares * action.merger_ratio - received, closes_usd.get(action.acquirer)
        if abs(fraction) <= _NO_FRACTION:
            return shares * action.merger_cash_usd
        return None if close is None else shares * action.merger_cash_usd + fraction * close
    last = closes_usd.get(action.symbol)
    return None if last is None else shares * last


_NO_FRACTION = 1e-6
"""Of a share: below it what whole shares leave over is the rounding of a ratio."""
