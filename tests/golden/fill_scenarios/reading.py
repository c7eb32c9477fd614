"""Reading the decision table of fills from YAML.

Belongs here: strict parsing; every complaint names the file and the scenario.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import yaml

from tests.golden.fill_scenarios.scenario import (
    ACTIONS,
    CLOSES,
    FOLDER,
    OPENS,
    ORDER_TYPES,
    PHASES,
    STATES,
    TIMES_IN_FORCE,
    Action,
    Bar,
    Command,
    Costs,
    Expected,
    FillRow,
    Instrument,
    Rules,
    Scenario,
    ScenarioError,
    ScenarioOrder,
)


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
            optional={"symbol", "ratio", "amount", "pay_session", "new_ticker", "acquirer"},
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
