"""``aegis cash book`` and ``list``, ``aegis positions take-over`` and ``end-order``: what a person says of an account.

Belongs here: which session a word counts for, who said it, and telling what was written. What a booking means is
:mod:`aegis.live_trading.cash_bookings`, taking over :mod:`aegis.live_trading.agreement`.
"""

from __future__ import annotations

import getpass
from datetime import date, datetime

from rich.console import Console

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError, ExecutionError
from aegis.lake import tables
from aegis.live_trading.cash_balance import cash_balance
from aegis.live_trading.cash_bookings import CashBooking, CashKind, book_cash, cash_bookings
from aegis.live_trading.ended_by_word import StatedFill, Word, end_by_word
from aegis.live_trading.session_clock import SessionClock
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.trading import traded_account
from aegis_sensors.desk_commands import existing_desk


def book_command(
    config: AegisConfig,
    *,
    amount_usd: float,
    kind: str,
    reason: str,
    console: Console,
    session: date | None = None,
    key: str | None = None,
    clock: Clock | None = None,
) -> bool:
    """Book cash that came or went at the broker, and return whether the booking is new.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account.
    amount_usd : float
        Came positive, went negative.
    kind : str
        One of :class:`~aegis.live_trading.cash_bookings.CashKind`.
    reason : str
        Why.
    console : Console
    session : date, optional
        By default the session that began last or, where its book exists, the next one.
    key : str, optional
        What makes it the same booking when it is typed again; by default session, amount, kind and reason.
    clock : Clock, optional
        By default the machine's.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, or the account is the simulated one.
    JournalError
        The account has no journal: nothing of it was traded or decided.
    ExecutionError
        A fee is positive, the session's book exists, something else was booked under the key, or amount or reason say
        nothing.
    """
    desk = _traded_desk(config)
    if CashKind(kind) is CashKind.FEE and amount_usd > 0.0:
        raise ExecutionError(
            f"a fee goes, and {amount_usd:+,.2f} USD came: for a fee of {amount_usd:,.2f} USD type "
            f"`aegis cash book -{amount_usd:.2f} --kind fee`, for one that was given back `--kind other`; nothing was "
            "booked"
        )
    now, calendar = (clock or SystemClock()).now_utc(), trading_calendar(config.market_data.calendar)
    booked = _booked_up_to(desk)
    chosen = calendar.require_session(session) if session is not None else _open_session(calendar, now, booked)
    booking = CashBooking(
        session=chosen, amount_usd=amount_usd, kind=CashKind(kind), reason=reason, actor=getpass.getuser()
    )
    with desk.recorded_journal() as journal:
        is_new = book_cash(journal, booking, booked_up_to=booked, at_utc=now, key=key)
    said = f"{amount_usd:+,.2f} USD ({kind}) of session {chosen}, by {booking.actor}: {reason}"
    _say(console, desk, f"booked {said}" if is_new else f"nothing new, it is booked already: {said}")
    return is_new


def list_command(config: AegisConfig, *, console: Console) -> None:
    """Print what cash was booked, what was paid otherwise than expected, and what is due.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, or the account is the simulated one.
    """
    desk = _traded_desk(config)
    with desk.recorded_journal() as journal:
        rows = journal.events()
    found, known = cash_bookings(rows), cash_balance(rows)
    balance = "not counted yet" if known.balance_usd is None else f"{known.balance_usd:,.2f} USD"
    _say(console, desk, f"cash by the journal {balance}, {len(found)} bookings, {len(known.dues)} payments due")
    for each in found:
        _line(console, f"  {each.session}  {each.amount_usd:+14,.2f} USD  {each.kind}: {each.reason} ({each.actor})")
    for due in known.dues:
        amount = "unknown" if due.amount_usd is None else f"{due.amount_usd:+,.2f}"
        about = "about " if due.is_estimate else ""
        _line(console, f"  due {due.due_session}  {about}{amount} USD  {due.told}")


def take_over_command(config: AegisConfig, *, reason: str, console: Console, clock: Clock | None = None) -> bool:
    """Take the broker's word for what the account holds, and return whether the books agree with it now.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account.
    reason : str
        Why.
    console : Console
    clock : Clock, optional
        By default the machine's.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, or the account is the simulated one.
    ExecutionError
        Another process trades the account, or the reason is empty. Nothing was written.
    BrokerUnavailable
        The broker does not answer.
    """
    desk = _traded_desk(config)
    lake = LakeResource.of(desk.workspace)
    with traded_account(config, clock=clock or SystemClock(), lake=lake, listens=False) as account:
        before = account.system.breaks
        review = account.system.take_over_positions(reason=reason, actor=getpass.getuser())
    for said in before:
        _line(console, f"  it differed: {said}")
    held = ", ".join(f"{item.quantity_shares:g} {item.symbol}" for item in review.positions) or "nothing"
    _say(console, desk, f"took over {held}, {review.balance.cash_usd:,.2f} USD of cash.")
    for said in review.breaks:
        _line(console, f"  it still differs: {said}")
    return review.is_clean


def end_order_command(
    config: AegisConfig,
    client_order_id: str,
    *,
    reason: str,
    console: Console,
    filled_shares: float | None = None,
    price_usd: float | None = None,
    commission_usd: float = 0.0,
    filled_at_utc: datetime | None = None,
    clock: Clock | None = None,
) -> bool:
    """Write down what became of an order that the broker tells of no more; return whether the books agree with it now.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account.
    client_order_id : str
        The order.
    reason : str
        What the broker's statement says.
    console : Console
    filled_shares, price_usd, filled_at_utc : optional
        Shares that filled and are not in the journal, unsigned, their average price, and when; all three or none.
    commission_usd : float
        Of these shares.
    clock : Clock, optional
        By default the machine's.

    Raises
    ------
    ConfigurationError
        The workspace does not exist or is another account's, or the account is the simulated one.
    ExecutionError
        Another process trades the account, the broker tells of the order, or what is said cannot be. Nothing was
        written.
    BrokerUnavailable
        The broker does not answer.
    """
    desk, clock = _traded_desk(config), clock or SystemClock()
    stated = (filled_shares, price_usd, filled_at_utc)
    fill = None
    if filled_shares is not None and price_usd is not None and filled_at_utc is not None:
        fill = StatedFill(
            shares=filled_shares, price_usd=price_usd, commission_usd=commission_usd, filled_at_utc=filled_at_utc
        )
    elif any(each is not None for each in stated) or commission_usd:
        raise ExecutionError(
            f"order {client_order_id}: shares that filled are said with --filled, --price and --at together; nothing "
            "was written"
        )
    word = Word(reason=reason, actor=getpass.getuser(), fill=fill)
    lake = LakeResource.of(desk.workspace)
    with traded_account(config, clock=clock, lake=lake, listens=False) as account:
        system = account.system
        ended = end_by_word(system.door, client_order_id, word, session_of=system.session_of, now_utc=clock.now_utc())
    with traded_account(config, clock=clock, lake=lake, listens=False) as account:  # as the next process finds it
        breaks = account.system.breaks
    done = f"{ended.filled_shares:g} of {ended.order.quantity_shares:g} {ended.order.symbol} filled"
    _say(console, desk, f"order {client_order_id} is {ended.state}, {done}.")
    for said in breaks:
        _line(console, f"  it still differs: {said}")
    return not breaks


def _traded_desk(config: AegisConfig) -> Desk:
    desk = existing_desk(config)
    if not config.is_traded:
        raise ConfigurationError(
            "run.account: 'simulated' is no account at a broker, nothing is booked there by hand; name the account "
            "that is traded"
        )
    return desk


def _booked_up_to(desk: Desk) -> date | None:
    """Return the newest session whose book exists."""
    if not desk.workspace.lake.exists():
        return None
    with LakeResource.of(desk.workspace).open() as store:
        if store.last_session(tables.BOOK_STATES) is None:
            return None
        return max(store.sessions(tables.BOOK_STATES, account=desk.account), default=None)


def _open_session(calendar: TradingCalendar, now_utc: datetime, booked: date | None) -> date:
    begun = SessionClock(calendar).session_of(now_utc)
    return calendar.next(booked) if booked is not None and begun <= booked else begun


def _say(console: Console, desk: Desk, what: str) -> None:
    _line(console, f"Account {desk.account} of workspace {desk.workspace.name}: {what}")


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
