"""The trading desk of one account, handed to the book as a Dagster resource.

Belongs here: which broker, costs, limits and switches an account trades with, and where its journal is. How it decides
is :mod:`aegis.live_trading.session_loop`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from aegis import __version__
from aegis.backtesting.costs import CostModel
from aegis.compliance.pre_trade import order_rules
from aegis.compliance.restricted_list import Restriction, unknown_symbols
from aegis.config import AegisConfig
from aegis.drift.responses import DriftResponses
from aegis.errors import ConfigurationError, JournalError
from aegis.execution.anchor_places import configured_place
from aegis.execution.journal import Journal, holds_journal, missing_journal
from aegis.execution.journal_anchor import AnchorPlace, JournalAnchor
from aegis.execution.journal_chain import JournalHead
from aegis.execution.order_management import DecisionLedger
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance
from aegis.live_trading.account_books import AccountBooks
from aegis.live_trading.anchoring import require_anchored
from aegis.live_trading.book_state import BookState
from aegis.live_trading.journal_audit import require_recorded_past
from aegis.live_trading.kill_switch import KillSwitch, KillSwitchStatus
from aegis.live_trading.session_loop import BookPolicy
from aegis.market_data.configured_checks import configured_checks
from aegis.workspace import Workspace
from aegis_resources.market_data import Market

_INDIFFERENT_SETTINGS = {
    "run": {"home", "workspace", "last_session", "account_since"},
    "monitoring": True,
    "storage": True,
    "schedules": True,
    "compliance": {"severities", "told_sessions"},
    "drift": True,
}
"""Settings that do not change a decision, left out of the configuration's hash. What drift led to is recorded with its
own terms (:mod:`aegis.drift.responses`)."""


@dataclass(frozen=True)
class Desk:
    """One account's desk.

    Parameters
    ----------
    config : AegisConfig
    workspace : Workspace
        Where the account's journal and kill switch are.
    """

    config: AegisConfig
    workspace: Workspace

    @classmethod
    def of(cls, config: AegisConfig) -> Desk:
        """Return the desk of the configured account."""
        return cls(config, Workspace.of(config))

    @property
    def account(self) -> str:
        """Account that is traded."""
        return self.config.run.account

    @property
    def kill_switch(self) -> KillSwitch:
        """The account's kill switch."""
        return KillSwitch(self.workspace.kill_switch(self.account))

    @property
    def drift_responses(self) -> DriftResponses:
        """What drift led to for the account."""
        return DriftResponses(self.workspace.drift_responses(self.account))

    def opening_state(self) -> BookState:
        """Return the book before its first session."""
        return BookState.opening(self.account, cash_usd=self.config.run.initial_cash_usd)

    def policy(self, switch: KillSwitchStatus) -> BookPolicy:
        """Return how the book decides while the kill switch stands as `switch` says.

        Raises
        ------
        DriftError
            What drift led to cannot be read: nothing is decided without it.
        ComplianceError
            The restricted list cannot be read.
        """
        return BookPolicy(
            book=self.config.run.book,
            portfolio=self.config.portfolio,
            risk=self.config.risk,
            execution=self.config.eval.execution,
            costs=CostModel.from_settings(self.config.eval.backtesting),
            required_checks={c.name: c.version for c in configured_checks(self.config.quality) if c.is_blocking},
            kill_switch_engaged=switch.is_engaged,
            kill_switch_told=switch.told,
            order_rules=order_rules(self.config.compliance),
            drift_responses=self.drift_responses.history(),
            code_version=__version__,
            config_hash=config_hash(self.config),
        )

    def first_session(self, market: Market) -> date:
        """Return the session with which the account's book begins.

        Raises
        ------
        ConfigurationError
            ``run.account_since`` is no session, or the market does not have it; or the account cannot be traded so.
        """
        self.config.require_account()
        first, last = market.session_range()[0], market.calendar.last_known_session()
        since = self.config.run.account_since
        if since is None:
            return first
        if not (market.calendar.is_session(since) and first <= since <= last):
            raise ConfigurationError(
                f"run.account_since {since} must be a session of {market.calendar.name} between {first} and {last}; "
                "the history before it is what the first decision looks back on"
            )
        return since

    @property
    def beginning_setting(self) -> str:
        """The setting that says with which session the account's book begins."""
        return "run.account_since" if self.config.is_traded else "run.first_session"

    def books(self, ledger: DecisionLedger, market: Market) -> AccountBooks | None:
        """Return the books of an account that is traded; None for the simulated one, which the loop trades itself."""
        if not self.config.is_traded:
            return None
        # The matching kernel takes two seconds to load, and definitions are loaded without booking anything.
        from aegis.live_trading.traded_books import TradedBooks  # noqa: PLC0415

        return TradedBooks(ledger, market.calendar, market.clock.now_utc())

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Yield the account's journal; closed on leaving."""
        with Journal.open(self.workspace.journal(self.account), account=self.account) as journal:
            yield journal

    @contextmanager
    def recorded_journal(self) -> Iterator[Journal]:
        """Yield the account's journal to whoever only reads it; closed on leaving.

        Raises
        ------
        JournalError
            There is none. It is not made: an empty journal would verify, and explain nothing.
        """
        location = self.workspace.journal(self.account)
        if not holds_journal(location, account=self.account):
            raise JournalError(
                f"journal of {self.account}: {missing_journal(location)}; restore it from a backup before anything is "
                "traded, or delete the workspace if it never traded"
            )
        with Journal.open(location, account=self.account) as journal:
            yield journal

    def anchor_place(self) -> AnchorPlace | None:
        """Return where the head of a traded account's journal is kept a second time; None for nowhere.

        Raises
        ------
        ConfigurationError
            The place cannot be one.
        """
        return configured_place(self.workspace, self.account) if self.config.is_traded else None

    def require_anchored(self, journal: Journal) -> str:
        """Refuse a journal that its anchor knows to be longer; return where the anchor is, empty without one.

        Raises
        ------
        JournalError
            Its end was cut off, or the anchor cannot be asked.
        """
        place = self.anchor_place()
        if place is None:
            return ""
        anchor = JournalAnchor(place, account=self.account)
        try:
            require_anchored(anchor, journal)
        finally:
            anchor.close()
        return str(place)

    def unlisted_restrictions(self, store: Lake, restrictions: Sequence[Restriction], day: date) -> tuple[str, ...]:
        """Return a sentence for each line of the restricted list whose symbol the lake's listings do not have."""
        if not restrictions:
            return ()
        listings = store.read(tables.LISTINGS)
        tickers = dict(zip(listings["ticker"], listings["symbol"], strict=True))
        return unknown_symbols(restrictions, day, symbols=set(listings["symbol"]), tickers=tickers)

    def published_past(self, store: Lake) -> tuple[JournalHead | None, date | None]:
        """Return where the journal ended when the book was last written, and the newest booked session, by the lake."""
        head = Provenance(store.snapshots()).journal_head(self.account)
        booked = store.sessions(tables.BOOK_STATES, account=self.account)
        return None if head is None else JournalHead(*head), booked[-1] if booked else None

    def require_recorded_past(self, store: Lake) -> None:
        """Refuse a journal that does not hold what the lake has booked; an account without a past needs none.

        Raises
        ------
        JournalError
            It is gone, empty, ends before its book, or is another one. Nothing was made or changed.
        """
        published, last_booked = self.published_past(store)
        if published is None and last_booked is None:
            return
        with self.recorded_journal() as journal:
            require_recorded_past(journal, published=published, last_booked=last_booked)

    @contextmanager
    def ledger(
        self, first: date, last: date, *, published: JournalHead | None, last_booked: date | None
    ) -> Iterator[DecisionLedger]:
        """Yield the journal's page for a range of sessions; what it collected is for the caller to flush.

        Parameters
        ----------
        first, last : date
            Sessions to be decided.
        published : JournalHead or None
            Where the journal ended when the book was last written, as the lake says.
        last_booked : date or None
            Newest session that the lake has booked for the account.

        Raises
        ------
        JournalError
            The lake, or the journal's anchor, has a past that the journal does not hold; nothing was decided.
        """
        with self.journal() if last_booked is None and published is None else self.recorded_journal() as journal:
            require_recorded_past(journal, published=published, last_booked=last_booked)
            self.require_anchored(journal)
            yield DecisionLedger(journal, first=first, last=last)


def config_hash(config: AegisConfig) -> str:
    """Return the SHA-256 of the settings that decide; folders, schedules and alerts are left out."""
    return hashlib.sha256(config.model_dump_json(exclude=_INDIFFERENT_SETTINGS).encode()).hexdigest()
