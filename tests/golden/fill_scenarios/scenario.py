"""The decision table of fills: what a scenario is, and how it is read from YAML.

Belongs here: strict parsing into plain values that any runner can use, and the comparison of what a runner did with
what the table expects. Times in the table are UTC; a session trades from 14:30 to 21:00. A date stands for the close of
that session. Expectations are written by hand from ``docs/fills.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml

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
ACTIONS = ("dividend", "split", "rename", "cash_merger", "delisting", "halt", "resume")


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
    """A corporate action or change of listing; `ratio` is new shares for one old, `amount` USD per old share."""

    kind: str
    symbol: str
    session: date
    ratio: float = 1.0
    amount: float = 0.0
    pay_session: date | None = None
    new_ticker: str | None = None


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


def load_scenarios() -> tuple[Scenario, ...]:
    """Read every row of the table, by file, then in order.

    Raises
    ------
    ScenarioError
        A row has an unknown or missing key, or contradicts itself.
    """
    return tuple(
        read_scenario(path.stem, row)
        for path in sorted(FOLDER.glob("*.yaml"))
        for row in yaml.safe_load(path.read_text(encoding="utf-8"))
    )


def read_scenario(file: str, row: Any) -> Scenario:
    """Read one row of the table; `file` is for the complaints."""
    return _Reader(file, row).scenario()


def differences(expected: Expected, seen: Outcome) -> list[str]:
    """Return one sentence for each thing that came out otherwise; empty if nothing did."""
    found = [
        f"fill {number}:\n      expected {_fill_text(wanted)}\n      seen     {_fill_text(got)}"
        for number, (wanted, got) in enumerate(_pairs(expected.fills, seen.fills), start=1)
        if wanted is None or got is None or not _same_fill(wanted, got)
    ]
    for name in sorted(expected.states.keys() | seen.states.keys()):
        wanted_state, got_state = expected.states.get(name), seen.states.get(name)
        if wanted_state != got_state:
            found.append(f"order {name}: expected {_state_text(wanted_state)}, seen {_state_text(got_state)}")
    for label in ("positions", "average_costs", "realised"):
        found += _mapping_differences(label, getattr(expected, label), getattr(seen, label))
    for label in ("cash", "receivable", "equity"):
        wanted_amount, got_amount = getattr(expected, label), getattr(seen, label)
        if wanted_amount is not None and not abs(wanted_amount - got_amount) <= MONEY_TOLERANCE:
            found.append(f"{label}: expected {wanted_amount!r}, seen {got_amount!r}")
    return found


def _pairs(wanted: Sequence[FillRow], got: Sequence[FillRow]) -> Iterable[tuple[FillRow | None, FillRow | None]]:
    longest = max(len(wanted), len(got))
    return ((wanted[i] if i < len(wanted) else None, got[i] if i < len(got) else None) for i in range(longest))


def _same_fill(wanted: FillRow, got: FillRow) -> bool:
    return (
        (wanted.order, wanted.bar, wanted.phase) == (got.order, got.bar, got.phase)
        and abs(wanted.quantity - got.quantity) <= PRICE_TOLERANCE
        and abs(wanted.price - got.price) <= PRICE_TOLERANCE
        and abs(wanted.commission - got.commission) <= PRICE_TOLERANCE
    )


def _fill_text(fill: FillRow | None) -> str:
    if fill is None:
        return "nothing"
    return (
        f"{fill.order} {fill.quantity:+g} @ {fill.price!r} at the {fill.phase} of {fill.bar:%Y-%m-%d %H:%M:%S}, "
        f"commission {fill.commission!r}"
    )


def _state_text(state: tuple[str, str] | None) -> str:
    return "no such order" if state is None else ", ".join(filter(None, state))


def _mapping_differences(label: str, wanted: Mapping[str, float] | None, got: Mapping[str, float]) -> list[str]:
    if wanted is None:
        return []
    return [
        f"{label} of {name}: expected {wanted.get(name, 0.0)!r}, seen {got.get(name, 0.0)!r}"
        for name in sorted(wanted.keys() | got.keys())
        if (name in wanted or label == "positions")
        and not abs(wanted.get(name, 0.0) - got.get(name, 0.0)) <= MONEY_TOLERANCE
    ]


class _Reader:
    """Reads one row; every complaint begins with the file and the scenario's id."""

    def __init__(self, file: str, row: Any) -> None:
        self._row = row
        self._where = f"{file}.yaml: {row.get('id', '(no id)') if isinstance(row, dict) else repr(row)}"

    def scenario(self) -> Scenario:
        row = self._keys(
            self._row,
            "scenario",
            required={"id", "title", "theme", "source", "why", "bars|trades", "expected"},
            optional={"cash", "rules", "costs", "symbols", "sessions", "actions", "orders", "commands"},
        )
        symbols = sorted({*row.get("bars", {}), *row.get("trades", {})})
        given = row.get("symbols", {})
        intervals = {name: terms.get("interval_minutes") for name, terms in given.items()}
        bars = [bar for name, rows in row.get("bars", {}).items() for bar in self._bars(name, rows, intervals)]
        bars += [bar for name, rows in row.get("trades", {}).items() for bar in self._trades(name, rows)]
        bars.sort(key=lambda bar: (bar.closes_at, bar.symbol))
        sessions = tuple(sorted({bar.session for bar in bars} | set(row.get("sessions", ()))))
        orders = tuple(o for item in row.get("orders", ()) for o in self._orders(item, symbols))
        read = Scenario(
            id=row["id"],
            title=row["title"],
            theme=row["theme"],
            source=row["source"],
            why=row["why"],
            cash=float(row.get("cash", 100_000)),
            rules=self._settings(Rules, row.get("rules", {}), "rules"),
            costs=self._settings(Costs, row.get("costs", {}), "costs"),
            symbols={name: self._instrument(name, given.get(name, {})) for name in symbols},
            sessions=sessions,
            bars=tuple(bars),
            actions=tuple(self._action(item, symbols) for item in row.get("actions", ())),
            orders=orders,
            commands=tuple(self._command(item, orders) for item in row.get("commands", ())),
            expected=self._expected(row["expected"]),
        )
        self._check(read)
        return read

    def _keys(
        self, given: Any, what: str, *, required: set[str] = frozenset(), optional: set[str] = frozenset()
    ) -> dict[str, Any]:
        """Return `given` if it is a mapping with the required keys ('a|b' means at least one) and no unknown ones."""
        if not isinstance(given, dict):
            raise ScenarioError(f"{self._where}: {what} must be a mapping, found {given!r}")
        allowed = {key for name in required | optional for key in name.split("|")}
        if unknown := sorted(set(map(str, given)) - allowed):
            raise ScenarioError(f"{self._where}: {what} has unknown keys {unknown}; known are {sorted(allowed)}")
        if missing := [name for name in sorted(required) if not any(key in given for key in name.split("|"))]:
            raise ScenarioError(f"{self._where}: {what} lacks {missing}")
        return given

    def _settings(self, kind: type[Any], given: Any, what: str) -> Any:
        return kind(**self._keys(given, what, optional=set(kind.__dataclass_fields__)))

    def _instrument(self, name: str, given: Any) -> Instrument:
        terms = self._keys(given, f"symbol {name}", optional={"tick", "lot", "interval_minutes"})
        return Instrument(tick=float(terms.get("tick", 0.0)), lot=float(terms.get("lot", 1.0)))

    def _bars(self, symbol: str, rows: Any, intervals: Mapping[str, int | None]) -> Iterable[Bar]:
        minutes = intervals.get(symbol)
        for at, values in rows.items():
            closes_at = self._instant(at)
            opens_at = (
                datetime.combine(closes_at.date(), OPENS) if minutes is None else closes_at - timedelta(minutes=minutes)
            )
            if len(values) != 5:
                raise ScenarioError(f"{self._where}: {symbol} {at}: a bar is [open, high, low, close, volume]")
            open_, high, low, close, volume = map(float, values)
            if not low <= min(open_, close) <= max(open_, close) <= high or volume < 0:
                raise ScenarioError(f"{self._where}: {symbol} {at}: {values} is no bar")
            yield Bar(
                symbol=symbol,
                session=closes_at.date(),
                opens_at=opens_at,
                closes_at=closes_at,
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
            )

    def _trades(self, symbol: str, rows: Any) -> Iterable[Bar]:
        for at, price, size in rows:
            instant, p = self._instant(at), float(price)
            yield Bar(
                symbol=symbol,
                session=instant.date(),
                opens_at=instant,
                closes_at=instant,
                open=p,
                high=p,
                low=p,
                close=p,
                volume=float(size),
            )

    def _instant(self, at: Any) -> datetime:
        """Return an instant: a date is the close of its session, a text is UTC."""
        if isinstance(at, datetime):
            return at.replace(tzinfo=UTC)
        if isinstance(at, date):
            return datetime.combine(at, CLOSES)
        try:
            return datetime.fromisoformat(at).replace(tzinfo=UTC)
        except (TypeError, ValueError):
            raise ScenarioError(f"{self._where}: {at!r} is neither a date nor a time") from None

    def _symbol(self, given: Mapping[str, Any], symbols: Sequence[str]) -> str:
        symbol = given.get("symbol", symbols[0] if len(symbols) == 1 else None)
        if symbol not in symbols:
            raise ScenarioError(f"{self._where}: {dict(given)} must name one of the symbols {list(symbols)}")
        return symbol

    def _action(self, item: Any, symbols: Sequence[str]) -> Action:
        given = self._keys(
            item,
            "action",
            required={"kind", "session"},
            optional={"symbol", "ratio", "amount", "pay_session", "new_ticker"},
        )
        if given["kind"] not in ACTIONS:
            raise ScenarioError(f"{self._where}: no action is called {given['kind']!r}; known are {ACTIONS}")
        return Action(**{**given, "symbol": self._symbol(given, symbols)})

    def _orders(self, item: Any, symbols: Sequence[str]) -> Iterable[ScenarioOrder]:
        """Yield an order and, where it has a `bracket`, its two children: GTC, one cancels the other."""
        optional = {"symbol", "limit", "stop", "trail", "trail_fraction", "tif", "expires", "parent", "oco", "bracket"}
        given = self._keys(item, "order", required={"id", "after", "buy|sell", "type"}, optional=optional)
        if given["type"] not in ORDER_TYPES or given.get("tif", "DAY") not in TIMES_IN_FORCE:
            raise ScenarioError(f"{self._where}: {given} has an unknown type or time in force")
        quantity = float(given["buy"]) if "buy" in given else -float(given["sell"])
        after, symbol, fraction = self._instant(given["after"]), self._symbol(given, symbols), "trail_fraction" in given
        prices = {key: float(given[key]) for key in ("limit", "stop") if key in given}
        yield ScenarioOrder(
            id=given["id"],
            after=after,
            symbol=symbol,
            quantity=quantity,
            type=given["type"],
            trail=given.get("trail_fraction", given.get("trail")),
            trail_is_fraction=fraction,
            tif=given.get("tif", "DAY"),
            expires=self._instant(given["expires"]) if "expires" in given else None,
            parent=given.get("parent"),
            oco=given.get("oco"),
            **prices,
        )
        if "bracket" not in given:
            return
        exits = self._keys(given["bracket"], "bracket", required={"stop_loss|take_profit"})
        for name, price in exits.items():
            is_stop = name == "stop_loss"
            yield ScenarioOrder(
                id=f"{given['id']}.{name}",
                after=after,
                symbol=symbol,
                quantity=-quantity,
                type="stop" if is_stop else "limit",
                limit=None if is_stop else float(price),
                stop=float(price) if is_stop else None,
                tif="GTC",
                parent=given["id"],
                oco=f"{given['id']}.exits" if len(exits) == 2 else None,
            )

    def _command(self, item: Any, orders: Sequence[ScenarioOrder]) -> Command:
        given = self._keys(
            item, "command", required={"after", "cancel|replace"}, optional={"quantity", "limit", "stop"}
        )
        kind = "cancel" if "cancel" in given else "replace"
        target = next((order for order in orders if order.id == given[kind]), None)
        if target is None:
            raise ScenarioError(f"{self._where}: the command {given} names no order")
        quantity = given.get("quantity")
        return Command(
            after=self._instant(given["after"]),
            order=target.id,
            kind=kind,
            quantity=None if quantity is None else math.copysign(quantity, target.quantity),
            limit=given.get("limit"),
            stop=given.get("stop"),
        )

    def _expected(self, item: Any) -> Expected:
        amounts = {"cash", "receivable", "equity"}
        maps = {"positions", "average_costs", "realised"}
        given = self._keys(item, "expected", required={"fills", "orders"}, optional=amounts | maps)
        return Expected(
            fills=tuple(self._fill(row) for row in given["fills"]),
            states={name: self._state(name, text) for name, text in given["orders"].items()},
            **{key: float(given[key]) for key in amounts & given.keys()},
            **{key: {name: float(v) for name, v in given[key].items()} for key in maps & given.keys()},
        )

    def _fill(self, item: Any) -> FillRow:
        given = self._keys(
            item, "fill", required={"order", "bar", "phase", "quantity", "price"}, optional={"commission"}
        )
        if given["phase"] not in PHASES:
            raise ScenarioError(f"{self._where}: phase {given['phase']!r} is none of {PHASES}")
        return FillRow(
            order=given["order"],
            bar=self._instant(given["bar"]),
            phase=given["phase"],
            quantity=float(given["quantity"]),
            price=float(given["price"]),
            commission=float(given.get("commission", 0.0)),
        )

    def _state(self, name: str, text: str) -> tuple[str, str]:
        state, _, reason = text.partition(", ")
        if state not in STATES:
            raise ScenarioError(f"{self._where}: order {name}: state {state!r} is none of {STATES}")
        return state, reason

    def _check(self, read: Scenario) -> None:
        """Refuse a row that contradicts itself."""
        ids = [order.id for order in read.orders]
        steps = set(read.steps)
        expected = read.expected
        bars = {(bar.symbol, bar.closes_at) for bar in read.bars}
        symbol_of = {order.id: order.symbol for order in read.orders}
        symbol_of |= {f"margin_call:{symbol}": symbol for symbol in read.symbols}
        named = {order.parent for order in read.orders if order.parent} | {f.order for f in expected.fills}
        complaints = [
            ("order ids repeat", [name for name in ids if ids.count(name) > 1]),
            (
                "no bar closes at the time of",
                [item for item in (*read.orders, *read.commands) if item.after not in steps],
            ),
            ("states are missing for", sorted(set(ids) - expected.states.keys())),
            ("no such orders", sorted((named | expected.states.keys()) - symbol_of.keys())),
            (
                "fills without a bar of the symbol",
                [f for f in expected.fills if (symbol_of.get(f.order), f.bar) not in bars],
            ),
        ]
        for what, found in complaints:
            if found:
                raise ScenarioError(f"{self._where}: {what} {found}")
