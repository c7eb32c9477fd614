"""``aegis monitor``: how an account is that is being traded, from the status file of the process that trades it.

Belongs here: reading the file, and the kill switch's, and laying it out. It opens no lake, no journal and no
connection, so it works while they do not. What the numbers mean is :mod:`aegis.monitoring.snapshot`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.status_file import STATUS_FILE, TraderStatus, read_status
from aegis.reporting.printing import count, number, percent, usd
from aegis.workspace import Workspace
from aegis_sensors.workspace_identity import require_account

_HEALTHY, _UNHEALTHY = 0, 1
_EVERY_SECONDS = 1.0
_SHOWN_DIGITS = 8
"""Of an order's id: enough for `aegis trace`, and the table fits into 80 columns."""


def monitor_command(
    config: AegisConfig,
    *,
    console: Console,
    follow: bool = False,
    as_json: bool = False,
    clock: Clock | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Print the status once, or until interrupted, and return 0 where all is well, 1 otherwise.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    ExecutionError
        The status file cannot be read.
    """
    clock = clock or SystemClock()
    workspace = Workspace.of(config)
    require_account(config, workspace)
    path = workspace.monitor(config.run.account) / STATUS_FILE
    switch = KillSwitch(workspace.kill_switch(config.run.account))
    while True:
        status, stopped = read_status(path), switch.status().told
        problems: tuple[str, ...] = (f"the kill switch: {stopped}; a person releases it",) if stopped else ()
        if status is None:
            problems = (f"no process has traded account {config.run.account} in this workspace yet", *problems)
            console.print(Text("\n".join(problems)), soft_wrap=True)
        else:
            if stopped == status.snapshot["kill_switch"]:
                problems = ()  # the process that trades said so, and it is among its causes
            problems = (*status.problems(clock.now_utc(), config.monitoring.stale_after_seconds), *problems)
            if as_json:
                console.print_json(json.dumps({"problems": problems, **status.snapshot}))
            else:
                console.print(_page(status, problems), soft_wrap=True)
        if not follow:
            return _UNHEALTHY if problems else _HEALTHY
        try:
            sleep(_EVERY_SECONDS)
        except KeyboardInterrupt:
            return _UNHEALTHY if problems else _HEALTHY


def _page(status: TraderStatus, problems: tuple[str, ...]) -> RenderableType:
    said, money, exposure = status.snapshot, status.snapshot["money"], status.snapshot["exposure"]
    parts: list[RenderableType] = [
        Text(f"Account {status.account} at {status.at_utc:%Y-%m-%d %H:%M:%S} UTC, session {said['session']}"),
        Text("healthy" if not problems else "NOT HEALTHY", style="green" if not problems else "bold red"),
        *(Text(f"! {problem}", style="red") for problem in problems),
        *(Text(f"- {cause.title}: {cause.body}") for cause in status.causes if cause.severity != "critical"),
        Text(
            f"equity {_usd(money['equity_usd'])}, today {_usd(money['day_profit_usd'])}; since "
            f"{_instant(money['since_utc'])}: {_profit(money['profit'])}, unexplained {_usd(money['unexplained_usd'])}"
        ),
        Text(
            f"exposure gross {_usd(exposure['gross_usd'])}, net {_usd(exposure['net_usd'])}; slippage against arrival "
            f"{_number(said['slippage_total']['slippage_bps'], 2)} bps of {said['slippage_total']['fills']} fills"
        ),
        _table("Position", ("shares", "mark", "value", "profit"), [_position(held) for held in said["positions"]]),
        _table(
            "Strategy", ("realised", "unrealised", "commission", "total"),
            [(name, *(_usd(value) for value in _amounts(part))) for name, part in money["by_strategy"].items()],
        ),
        _table(
            "Open order", ("symbol", "shares", "type", "session", "filled", "state"),
            [_open_order(order) for order in said["open_orders"]],
        ),
        _table(
            "Limit", ("used", "allowed"),
            [(limit["name"], _limit(limit, "used"), _limit(limit, "limit")) for limit in said["limits"]],
        ),
        _table(
            "Latency", ("orders", "p50 s", "p99 s"),
            [(stage["stage"], str(stage["orders"]), _number(stage["p50_seconds"], 4), _number(stage["p99_seconds"], 4))
             for stage in said["latencies"]],
        ),
    ]  # fmt: skip
    return Group(*parts)


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> RenderableType:
    if not rows:
        return Text(f"{title}: none")
    table = Table(title, *columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _position(held: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        held["symbol"],
        _shares(held["shares"]),
        f"{held['mark_usd']:,.4f} ({held['mark_source']})",
        _usd(held["value_usd"]),
        _usd(held["profit"]["total_usd"]),
    )


def _amounts(part: Mapping[str, float]) -> tuple[float, float, float, float]:
    return part["realised_usd"], part["unrealised_usd"], part["commission_usd"], part["total_usd"]


def _profit(part: Mapping[str, float] | None) -> str:
    if part is None:
        return "profit not known yet"
    realised, unrealised, commission, total = (_usd(value) for value in _amounts(part))
    return f"profit {total} (realised {realised}, unrealised {unrealised}, commission {commission})"


def _open_order(order: Mapping[str, Any]) -> tuple[str, ...]:
    quantity, limit = order["quantity_shares"], order["limit_price_usd"]
    return (
        order["client_order_id"][:_SHOWN_DIGITS],
        order["symbol"],
        f"{'buy' if quantity > 0 else 'sell'} {_shares(abs(quantity))}",
        order["order_type"] if limit is None else f"{order['order_type']} {limit:,.4f}",
        order.get("execution_session", "unknown"),  # the trader may be of a version that did not tell it
        _shares(abs(order["filled_shares"])),
        order["state"],
    )


def _limit(limit: Mapping[str, Any], key: str) -> str:
    """Return an amount in the unit that the limit's name says, a count of orders, or a share of equity."""
    name, value = limit["name"], limit[key]
    if value is None:
        return "unknown"
    if name.endswith("USD"):
        return usd(value, 2)
    return count(value) if name.endswith("orders") else percent(value)


def _instant(text: str | None) -> str:
    return "never" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{usd(value, 2)} USD"


def _shares(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.9g}"


def _number(value: float | None, decimals: int) -> str:
    return "unknown" if value is None else number(value, decimals)
