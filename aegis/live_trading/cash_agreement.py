"""Whether the broker's cash is what the journal says, and writing down the payments that explain a difference.

Belongs here: one comparison and its rows. What is compared is :mod:`aegis.live_trading.cash_balance`, positions are
:mod:`aegis.live_trading.broker_account`; what a person books is :mod:`aegis.live_trading.cash_bookings`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from aegis.calendars import TradingCalendar
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import StatesFees
from aegis.execution.journal import NewEvent
from aegis.live_trading.cash_balance import (
    ROUNDING_USD,
    CashBalance,
    CashDue,
    CashExplanation,
    explain,
    overdue,
)
from aegis.live_trading.cash_bookings import CashBooking, CashKind, cash_entry
from aegis.live_trading.held_positions import AccountEventKind, account_entry

PATIENCE_SESSIONS = 10
"""How long a payment may be late before it is a break: brokers pay dividends days after their pay date."""
_LONGEST_LIST = 5
_FEE_DELAY = timedelta(days=7)
"""How much later than its day a fee may be charged."""


class CashAgreement:
    """The cash of one account.

    Parameters
    ----------
    broker : Broker
        Asked for fees, where it states them.
    account : str
        For messages.
    calendar : TradingCalendar
        Counts sessions.
    tolerance_usd : float
        Largest difference that is no break, beside half a cent for each fill since the cash last agreed.
    lag_seconds : float
        How far the broker's cash may be behind its executions.
    append : callable
        Writes a row into the journal, once for each key.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        account: str,
        calendar: TradingCalendar,
        tolerance_usd: float,
        lag_seconds: float,
        append: Callable[[NewEvent], None],
    ) -> None:
        self._broker, self._account, self._calendar = broker, account, calendar
        self._tolerance_usd, self._lag = tolerance_usd, timedelta(seconds=lag_seconds)
        self._append = append
        self._stated_in: date | None = None

    def compare(self, cash_usd: float, known: CashBalance, *, session: date, now_utc: datetime) -> tuple[str, ...]:
        """Return the breaks in cash; payments that explain a difference are written down.

        Parameters
        ----------
        cash_usd : float
            As the broker tells it.
        known : CashBalance
            By the journal.
        session : date
            The session that had begun last.
        now_utc : datetime
            When the broker was asked.

        Raises
        ------
        BrokerUnavailable
            The broker does not say what it charged.
        """
        if known.balance_usd is None:
            return ()  # taken over before cash was counted; the next taking over begins it
        found = self._explain(cash_usd, known, (), session, now_utc)
        if not found.is_explained and isinstance(self._broker, StatesFees) and known.since is not None:
            stated = self._broker.fees(known.since - _FEE_DELAY)
            found = self._explain(cash_usd, known, stated, session, now_utc)
        for due, amount in found.paid:
            self._append(_paid_entry(due, amount, session=self._booking_session(now_utc, session), at_utc=now_utc))
        for fee in found.fees:
            self._append(_fee_entry(fee, session=self._booking_session(now_utc, session), at_utc=now_utc))
        if not found.is_explained:
            return (self._unexplained(cash_usd, known, found), *self._late(known, found, session))
        if not found.paid and not found.fees:
            self._state(cash_usd, known, found, session, now_utc)
        return tuple(self._late(known, found, session))

    def take_over(
        self, cash_usd: float, known: CashBalance, *, reason: str, actor: str, session: date, at_utc: datetime
    ) -> None:
        """Book what is left of a difference as a transfer, on the word of the person who takes the broker's."""
        if known.balance_usd is None:
            return
        found = self._explain(cash_usd, known, (), session, at_utc)
        if not found.is_explained:
            booking = CashBooking(
                session=self._booking_session(at_utc, session),
                amount_usd=found.difference_usd,
                kind=CashKind.TRANSFER,
                reason=reason,
                actor=actor,
            )
            self._append(cash_entry(booking, at_utc=at_utc, key=at_utc.isoformat()))

    def _explain(
        self, cash_usd: float, known: CashBalance, fees: tuple[AccountFee, ...], session: date, now_utc: datetime
    ) -> CashExplanation:
        return explain(
            cash_usd,
            known,
            session=self._booking_session(now_utc, session),  # brokers pay in the night before the session
            now_utc=now_utc,
            tolerance_usd=self._tolerance_usd + ROUNDING_USD * known.fills_since,
            lag=self._lag,
            fees=fees,
        )

    def _state(
        self, cash_usd: float, known: CashBalance, found: CashExplanation, session: date, now_utc: datetime
    ) -> None:
        """Begin to count from the broker's cash again, once a session: cents of rounding must not add up for years."""
        is_rounding = abs(found.difference_usd) <= self._tolerance_usd + ROUNDING_USD * known.fills_since
        if session == self._stated_in or not is_rounding or now_utc >= self._calendar.close_utc(session):
            return
        self._stated_in = session
        if found.difference_usd != 0.0:
            payload = {"cash_usd": cash_usd, "difference_usd": found.difference_usd}
            key = f"{AccountEventKind.CASH_STATED}:{session}"
            self._append(account_entry(AccountEventKind.CASH_STATED, payload, session=session, at_utc=now_utc, key=key))

    def _unexplained(self, cash_usd: float, known: CashBalance, found: CashExplanation) -> str:
        dues = [f"{due.told}, {_usd(due.amount_usd)}" for due in known.dues[:_LONGEST_LIST]]
        waiting = f" Not seen yet: {'; '.join(dues)}." if dues else ""
        return (
            f"{self._account} cash: our books say {known.balance_usd:,.2f} USD, the broker {cash_usd:,.2f} (difference "
            f"{found.difference_usd:+,.2f}, tolerance {self._tolerance_usd:g}); no fill, dividend or stated fee is "
            f"that.{waiting} Say what it was: `aegis cash book {found.difference_usd:.2f} --kind interest|fee|transfer|"
            'other --reason "..."`'
        )

    def _late(self, known: CashBalance, found: CashExplanation, session: date) -> list[str]:
        """Return what should have been paid long ago."""
        last = session
        for _ in range(PATIENCE_SESSIONS):
            last = self._calendar.previous(last)
        seen = {due.key for due, _ in found.paid}
        return [
            f"{self._account} cash: {due.told}, {_usd(due.amount_usd)}, was due in session {due.due_session} and did "
            f"not come in {PATIENCE_SESSIONS} sessions; ask the broker. If it will not pay, book the loss, which "
            f'settles it: `aegis cash book {-(due.amount_usd or 0.0):.2f} --kind other --reason "..."`'
            for due in overdue(known, last_session=last)
            if due.key not in seen
        ]

    def _booking_session(self, at_utc: datetime, session: date) -> date:
        """Return the session whose book takes a payment: after a close the next one, as that book is being made."""
        return session if at_utc < self._calendar.close_utc(session) else self._calendar.next(session)


def _paid_entry(due: CashDue, amount_usd: float, *, session: date, at_utc: datetime) -> NewEvent:
    payload = {"due": due.key, "told": due.told, "amount_usd": amount_usd, "expected_usd": due.amount_usd}
    key = f"{AccountEventKind.CASH_PAID}:{due.key}"
    return account_entry(AccountEventKind.CASH_PAID, payload, session=session, at_utc=at_utc, key=key)


def _fee_entry(fee: AccountFee, *, session: date, at_utc: datetime) -> NewEvent:
    booking = CashBooking(
        session=session,
        amount_usd=-fee.amount_usd,
        kind=CashKind.FEE,
        reason=fee.description or "a fee that the broker states without a word",
        actor="the broker's statement",
    )
    return cash_entry(booking, at_utc=at_utc, key=fee.fee_id, fee_id=fee.fee_id)


def _usd(amount: float | None) -> str:
    return "an unknown amount" if amount is None else f"{amount:,.2f} USD"
