"""The decision table of fills: what a scenario is.

Belongs here: plain values that any runner can use. Times in the table are UTC; a session trades from 14:30 to 21:00. A
date stands for the close of that session. Expectations are written by hand from ``docs/fills.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

FOLDER = Path(__file__).parent
OPENS, CLOSES = time(14, 30, tzinfo=UTC), time(21, 0, tzinfo=UTC)
PRICE_TOLERANCE = 1e-9
MONEY_TOLERANCE = 1e-6

ORDER_TYPES = (
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "market_on_open",
    "market_on_close",
    "limit_on_open",
    "limit_on_close",
    "bar_average",
)
TIMES_IN_FORCE = ("DAY", "GTC", "GTD", "IOC", "FOK", "OPG", "CLS")
STATES = ("held", "working", "partially filled", "filled", "cancelled", "expired", "rejected")
PHASES = ("open", "inside", "average", "close")
ACTIONS = ("dividend", "split", "rename", "cash_merger", "share_merger", "delisting", "halt", "resume")


class ScenarioError(ValueError):
    """A row of the table is not what it must be; the message names the scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; a trade is a bar that opens when it closes, with one price."""

    symbol: str
    session: date
    opens_at: datetime
    closes_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Terms of a symbol: tick in USD (0 for none), smallest step of a quantity."""

    tick: float = 0.0
    lot: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The venue's and the account's rules, by the names of the kernel's RULES record; the table's own defaults."""

    participation_rate: float = 1.0
    max_leverage: float = 2.0
    initial_margin: float = 0.5
    maintenance_margin: float = 0.25
    min_notional: float = 0.0
    settlement_sessions: int = 0
    margin_account: bool = False
    allow_short: bool = False
    fractional: bool = False
    limit_needs_trade_through: bool = True
    children_act_in_entry_bar: bool = False
    reject_unaffordable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of trading; none unless the scenario says so."""

    slippage_bps: float = 0.0
    commission_bps: float = 0.0
    commission_per_share_usd: float = 0.0
    commission_minimum_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A corporate action or change of listing; `ratio` is new shares for one old, `amount` USD per old share.

    The new shares of a merger for shares are the acquirer's.
    """

    kind: str
    symbol: str
    session: date
    ratio: float = 1.0
    amount: float = 0.0
    pay_session: date | None = None
    new_ticker: str | None = None
    acquirer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOrder:
    """An order given after the close of a bar; quantity is signed, prices are None where the type has none."""

    id: str
    after: datetime
    symbol: str
    quantity: float
    type: str
    limit: float | None = None
    stop: float | None = None
    trail: float | None = None
    trail_is_fraction: bool = False
    tif: str = "DAY"
    expires: datetime | None = None
    parent: str | None = None
    oco: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A cancellation or a replacement after the close of a bar; `quantity` is the new total, signed."""

    after: datetime
    order: str
    kind: str
    quantity: float | None = None
    limit: float | None = None
    stop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """One execution, expected or seen; `bar` is the close of the bar that gave it."""

    order: str
    bar: datetime
    phase: str
    quantity: float
    price: float
    commission: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a runner saw at the end of a scenario.

    `states` holds (state, reason) by order id; `margin_call:SYMBOL` names orders the account's own rules created.
    `positions` leaves out what is flat.
    """

    fills: tuple[FillRow, ...]
    states: Mapping[str, tuple[str, str]]
    cash: float
    positions: Mapping[str, float]
    average_costs: Mapping[str, float] = field(default_factory=dict)
    realised: Mapping[str, float] = field(default_factory=dict)
    receivable: float = 0.0
    equity: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come out; None where the scenario does not say."""

    fills: tuple[FillRow, ...]
    states: Mapping[str, tuple[str, str]]
    cash: float | None = None
    positions: Mapping[str, float] | None = None
    average_costs: Mapping[str, float] | None = None
    realised: Mapping[str, float] | None = None
    receivable: float | None = None
    equity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the decision table."""

    id: str
    title: str
    theme: str
    source: str
    why: str
    cash: float
    rules: Rules
    costs: Costs
    symbols: Mapping[str, Instrument]
    sessions: tuple[date, ...]
    bars: tuple[Bar, ...]
    actions: tuple[Action, ...]
    orders: tuple[ScenarioOrder, ...]
    commands: tuple[Command, ...]
    expected: Expected

    @property
    def steps(self) -> tuple[datetime, ...]:
        """Instants at which bars close, oldest first."""
        return tuple(sorted({bar.closes_at for bar in self.bars}))
