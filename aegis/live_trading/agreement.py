"""Whether the books of a traded account agree with its broker: looking, taking over, and what is written for it.

Belongs here: reconciliation as something that is done again and again, and its rows in the journal. What is compared
is :mod:`aegis.live_trading.broker_account` and :mod:`aegis.live_trading.cash_agreement`, what the journal says
:mod:`aegis.live_trading.journalled_account`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from aegis.backtesting.session_market import CorporateAction
from aegis.errors import DuplicateEvent
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import FollowsActions
from aegis.execution.journal import Journal, NewEvent
from aegis.live_trading.booked_actions import (
    disputed_splits,
    exchange_entry,
    is_exchanged,
    not_exchanged,
    opening_entries,
    opening_marker,
)
from aegis.live_trading.broker_account import AccountReview, review_account
from aegis.live_trading.cash_agreement import CashAgreement
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.exit_door import ExitDoor
from aegis.live_trading.exit_review import ExitReview
from aegis.live_trading.held_positions import AccountEventKind, adoption_entry, breakers_entry
from aegis.live_trading.journalled_account import JournalledAccount

_LOOKS = 4
_TRIES_A_PAUSE = 4
_PAUSES_OF_AGREEMENT = 2
"""Pauses between looks for which agreement lasts while no look is settled."""
_MOST_MISSED = 20
"""Openings that are made up for after a pause; a longer one ends with a person who takes the broker's word."""

_OF_OPENINGS = (
    AccountEventKind.OPENING_BOOKED,
    AccountEventKind.POSITIONS_ADOPTED,
    AccountEventKind.DIVIDEND_BOOKED,
    AccountEventKind.SPLIT_BOOKED,
)
"""Rows that say what an opening has still to book."""


class Agreement:
    """The agreement of one account; its owner sees to it that one thread at a time looks.

    Parameters
    ----------
    broker : Broker
        Asked.
    journal : Journal
        Of the account.
    door : ExitDoor
        Hears the broker, and is held while a row is written that is no order's.
    rules : ExitReview
        Told what was found.
    config : ExecutionConfig
        Account, clock, and whether positions are taken over at the first start.
    session_of : callable
        Which session had begun last at an instant.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        door: ExitDoor,
        rules: ExitReview,
        config: ExecutionConfig,
        *,
        session_of: Callable[[datetime], date],
    ) -> None:
        self._broker, self._journal, self._door = broker, journal, door
        self._account = JournalledAccount(journal)
        self._rules, self._config = rules, config
        self._session_of = session_of
        self._remembered: object = ((), None)
        self._is_taken_over = False
        self._today: tuple[date, tuple[CorporateAction, ...]] = (date.min, ())
        self._cash = CashAgreement(
            broker,
            account=config.account,
            calendar=config.calendar,
            tolerance_usd=config.cash_tolerance_usd,
            lag_seconds=config.cash_lag_seconds,
            append=self._append,
        )
        self.breaks: tuple[str, ...] = ("it has not been compared with the broker yet",)
        """What differs from the broker."""
        self.review: AccountReview | None = None
        """What the last look found."""
        self.asked_at: datetime | None = None
        """When the broker was asked for it."""
        self._settled_at: datetime | None = None

    def look(self) -> AccountReview:
        """Compare the journal with the broker, and tell the rules; see :meth:`ExecutionSystem.reconcile`.

        Notes
        -----
        While orders fill without a pause, shares and cash are of different instants each time. That is no difference,
        and no agreement either: books that agreed lately count as before, and the next look is due soon.
        """
        config = self._config
        if config.takes_over and not self._is_taken_over:
            if self._account.read().held is None:
                self.take_over("first start of this account", "aegis")
            self._is_taken_over = True
        self._follow_actions()
        is_settled = False
        for _ in range(_LOOKS):
            self._door.take_events()
            heard, asked = self._door.heard, config.clock.now_utc()
            found, has_booked = self._compare(asked)
            if has_booked:
                continue
            is_settled = found.is_clean
            if is_settled:
                break
            # What filled while the broker was being asked, or while its stream was cut, is in its positions already.
            self._broker.open_orders()
            self._door.take_events()
            is_settled = self._door.heard == heard  # whoever submits takes events as well
            if is_settled:
                break
        self.review, self.asked_at = found, asked
        self._rules.observe_account(found.balance, found.positions, at_utc=asked)
        self._rules.observe_stream(asked)
        if is_settled or not self._agreed_lately(asked):
            self.breaks = found.breaks
            self._rules.observe_reconciliation(is_clean=found.is_clean)
        if is_settled:
            self._settled_at = asked
        self._keep_breakers(asked)
        return found

    def _agreed_lately(self, now_utc: datetime) -> bool:
        """Whether the last look that was settled found no difference, and is not long ago."""
        if self.breaks or self._settled_at is None:
            return False
        return (now_utc - self._settled_at).total_seconds() < _PAUSES_OF_AGREEMENT * self._config.reconcile_seconds

    def is_due(self, now_utc: datetime) -> bool:
        """Return whether the schedule asks for another look."""
        if self.asked_at is None:
            return True
        tries = 1 if self.asked_at == self._settled_at else _TRIES_A_PAUSE
        return (now_utc - self.asked_at).total_seconds() >= self._config.reconcile_seconds / tries

    def take_over(self, reason: str, actor: str) -> None:
        """Write down that the broker's word is taken for what the account holds.

        Notes
        -----
        Cash is counted from the first time on. Later what cash differs by then, and nothing explains, is booked as a
        transfer for the same reason: the shares that came or went are none of our trades, and so is their price.
        """
        now = self._config.clock.now_utc()
        with self._door.held():
            self._door.take_events()
            held, session = self._broker.positions(), self._session_of(now)
            cash_usd, known = self._broker.account().cash_usd, self._account.read().cash
            self._append(
                adoption_entry(held, reason=reason, actor=actor, session=session, at_utc=now, cash_usd=cash_usd)
            )
            self._cash.take_over(cash_usd, known, reason=reason, actor=actor, session=session, at_utc=now)

    def unbooked_sessions(self, session: date) -> tuple[date, ...]:
        """Return the sessions whose openings were not booked, up to and with `session`, which is always one of them."""
        rows = self._journal.events(kinds=[AccountEventKind.OPENING_BOOKED])
        if not rows or rows[-1].session_date >= session:
            return (session,)
        calendar = self._config.calendar
        return tuple(calendar.sessions(calendar.next(rows[-1].session_date), session)[-_MOST_MISSED:])

    def book_actions(
        self, actions: Sequence[CorporateAction], *, session: date, closes_usd: Mapping[str, float]
    ) -> bool:
        """Write down, once a session, the dividends and splits of what is held; return whether another look is needed.

        Notes
        -----
        What was taken over since the session opened is in the shares of after, and belongs to the broker's word.
        Mergers and delistings are announced in the journal, and booked by the look that finds them made.
        """
        rows = self._journal.events(kinds=_OF_OPENINGS)
        held, now = self._account.read().held or {}, self._config.clock.now_utc()
        self._today = session, tuple(actions)
        if any(row.kind == AccountEventKind.OPENING_BOOKED and row.session_date == session for row in rows):
            return self._is_concerned(actions, held)  # what was bought since holds no claim on what the opening booked
        opened = self._config.calendar.open_utc(session)
        if any(row.kind == AccountEventKind.POSITIONS_ADOPTED and row.instant_utc >= opened for row in rows):
            held = {}
        about: dict[str, Any] = {"session": session, "at_utc": now, "closes_usd": closes_usd}
        booked = {row.idempotency_key for row in rows}  # by hand, for one
        with self._door.held(), self._journal.batch() as batch:
            for entry in (*opening_entries(actions, held, **about), opening_marker(actions, held, **about)):
                if entry.idempotency_key not in booked:
                    batch.append(entry)
        return self._is_concerned(actions, held)

    def _compare(self, now: datetime) -> tuple[AccountReview, bool]:
        """Return what a comparison finds, and whether it wrote down what it will find otherwise the next time."""
        config = self._config
        label = f"{config.account} {now:%Y-%m-%dT%H:%M:%SZ}"
        known = self._account.read()
        held = known.held or {}
        found = review_account(self._broker, held, label=label, contradictions=self._door.contradictions())
        theirs = {item.symbol: item.quantity_shares for item in found.positions}
        made = [each for each in known.coming if is_exchanged(each.action, held, theirs)]
        if made:
            with self._door.held():
                for each in made:
                    self._append(exchange_entry(each, at_utc=now))
            return found, True
        session, actions = self._today
        late = [not_exchanged(each, label=label) for each in known.coming if self._is_over(each.session, now)]
        late += disputed_splits(actions, held, theirs, session=session, label=label)
        if found.breaks or late:
            # A trade that nobody told moves cash too: shares first.
            return replace(found, breaks=(*found.breaks, *late)), False
        before = self._journal.head()
        with self._door.held():
            breaks = self._cash.compare(found.balance.cash_usd, known.cash, session=self._session_of(now), now_utc=now)
        return replace(found, breaks=breaks), not breaks and self._journal.head() != before

    def _is_over(self, session: date, now: datetime) -> bool:
        """Whether a session closed, and so long ago that the broker was asked since."""
        return (now - self._config.calendar.close_utc(session)).total_seconds() > self._config.reconcile_seconds

    def _follow_actions(self) -> None:
        """Have the broker find out what its venue did today to open orders and tickers."""
        session, actions = self._today
        if not actions or session != self._session_of(self._config.clock.now_utc()):
            return
        if isinstance(self._broker, FollowsActions) and self._is_concerned(actions, self._account.read().held or {}):
            self._broker.follow_actions(actions, session=session)

    def _is_concerned(self, actions: Sequence[CorporateAction], held: Mapping[str, float]) -> bool:
        """Whether actions are of what is held or ordered, or rename what may be."""
        ordered = (self._door.status(name) for name in self._door.open_ids())
        symbols = {*held, *(status.order.symbol for status in ordered if status is not None)}
        return any(action.action == "rename" or action.symbol in symbols for action in actions)

    def _keep_breakers(self, now_utc: datetime) -> None:
        """Write down what the breakers must remember, where it is another than before; today's equity alone is not."""
        record = self._rules.record()
        marks = record.marks
        remembered = (record.tripped, None if marks is None else (marks.session, marks.first_usd, marks.peak_usd))
        if remembered == self._remembered:
            return
        with self._door.held():
            self._append(breakers_entry(record.to_record(), session=self._session_of(now_utc), at_utc=now_utc))
        self._remembered = remembered

    def _append(self, entry: NewEvent) -> None:
        with suppress(DuplicateEvent), self._journal.batch() as batch:
            batch.append(entry)
