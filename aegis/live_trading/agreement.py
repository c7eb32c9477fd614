"""Whether the books of a traded account agree with its broker: looking, taking over, and what is written for it.

Belongs here: reconciliation as something that is done again and again, and its rows in the journal. What is compared
is :mod:`aegis.live_trading.broker_account`, what the journal says is held :mod:`aegis.live_trading.held_positions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime

from aegis.errors import DuplicateEvent
from aegis.execution.brokers.broker import Broker
from aegis.execution.journal import Journal, NewEvent
from aegis.live_trading.broker_account import AccountReview, review_account
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.exit_door import ExitDoor
from aegis.live_trading.exit_review import ExitReview
from aegis.live_trading.held_positions import adoption_entry, breakers_entry, journalled_positions, split_entry

_LOOKS = 3


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
        self._rules, self._config = rules, config
        self._session_of = session_of
        self._remembered: object = ((), None)
        self.breaks: tuple[str, ...] = ("it has not been compared with the broker yet",)
        """What differs from the broker."""
        self.looked_at: datetime | None = None
        """When the broker was asked last."""
        self.review: AccountReview | None = None
        """What was found then."""

    def look(self) -> AccountReview:
        """Compare the journal with the broker, and tell the rules; see :meth:`ExecutionSystem.reconcile`."""
        config, now = self._config, self._config.clock.now_utc()
        if config.takes_over and journalled_positions(self._journal) is None:
            self.take_over("first start of this account", "aegis")
        label = f"{config.account} {now:%Y-%m-%dT%H:%M:%SZ}"
        for _ in range(_LOOKS):
            self._door.take_events()
            found = review_account(
                self._broker,
                journalled_positions(self._journal) or {},
                label=label,
                contradictions=self._door.contradictions(),
            )
            # What filled while the broker was being asked is in its positions and not yet in the journal.
            if found.is_clean or not self._door.take_events():
                break
        self.breaks, self.looked_at, self.review = found.breaks, now, found
        self._rules.observe_account(found.balance, found.positions, at_utc=now)
        self._rules.observe_stream(now)
        self._rules.observe_reconciliation(is_clean=found.is_clean)
        self._keep_breakers(now)
        return found

    def is_due(self, now_utc: datetime) -> bool:
        """Return whether the schedule asks for another look."""
        since = self.looked_at
        return since is None or (now_utc - since).total_seconds() >= self._config.reconcile_seconds

    def take_over(self, reason: str, actor: str) -> None:
        """Write down that the broker's word is taken for what the account holds."""
        now = self._config.clock.now_utc()
        with self._door.held():
            self._door.take_events()
            held, session = self._broker.positions(), self._session_of(now)
            self._append(adoption_entry(held, reason=reason, actor=actor, session=session, at_utc=now))

    def book_splits(self, ratios: Mapping[str, float], *, session: date) -> bool:
        """Write down the splits of what is held, each once; return whether there was one."""
        held, now = journalled_positions(self._journal) or {}, self._config.clock.now_utc()
        split = sorted(held.keys() & ratios.keys())
        for symbol in split:
            with self._door.held(), suppress(DuplicateEvent):
                self._append(split_entry(symbol, ratios[symbol], session=session, at_utc=now))
        return bool(split)

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
        with self._journal.batch() as batch:
            batch.append(entry)
