"""The one place where brokers are made that may reach real money, and what has to hold before they are.

Belongs here: building the configured broker. Real money needs three things at once: ``eval.live_trading.paper_trading:
false``, the environment variable ``AEGIS_LIVE_TRADING`` with the account's name, and a confirmation that a person has
typed (:mod:`aegis.live_trading.kept_confirmation`). A test reads the syntax tree of all packages for brokers that are
made elsewhere. Written down in ``docs/live_safety.md``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.brokers.live_confirmation import LivePermission
from aegis.execution.brokers.multi import MultiBroker
from aegis.execution.brokers.order_routes import OrderRoutes
from aegis.live_trading.kept_confirmation import kept_confirmation
from aegis.live_trading.live_terms import broker_names, live_targets, require_variable
from aegis.live_trading.this_machine import MachineNow, this_machine
from aegis.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredBroker:
    """The configured broker, not connected.

    Parameters
    ----------
    broker : Broker
        The caller's to connect and to close.
    trades_real_money : bool
        Whether a person's confirmation let it be made.
    why_only_reducing : callable
        Why only orders that reduce a position may leave now, because the confirmation has ended; empty while all may,
        and always in paper trading.
    """

    broker: Broker
    trades_real_money: bool
    why_only_reducing: Callable[[], str]


def broker_for(
    config: AegisConfig,
    workspace: Workspace,
    *,
    clock: Clock,
    calendar: TradingCalendar,
    symbols: Mapping[str, str] | None = None,
    paper: Callable[[], Broker] | None = None,
    pause: Callable[[float], None] = time.sleep,
    environment: Mapping[str, str] = os.environ,
    machine: Callable[[], MachineNow] = this_machine,
    confirmation_key: Path | None = None,
) -> ConfiguredBroker:
    """Make the broker of ``eval.live_trading.broker`` for the account of ``run.account``; nothing is reached yet.

    Parameters
    ----------
    config, workspace : AegisConfig, Workspace
        Whose account it is, and where its confirmation is kept.
    clock : Clock
        By which confirmations end.
    calendar : TradingCalendar
        Sessions of the venue.
    symbols : mapping of str to str, optional
        Permanent symbols by the ticker of today.
    paper : callable, optional
        Makes the paper venue, which broker ``simulated`` trades at; not called for another.
    pause : callable, optional
        Waits so many seconds between attempts.
    environment, machine, confirmation_key
        Where the variable, this machine and the sealing key are looked up.

    Raises
    ------
    ConfigurationError
        Real money would be reached and one of the three is missing, or a setting cannot be used. Nothing was reached.
    """
    permission = require_permission(
        config,
        workspace,
        clock=clock,
        environment=environment,
        machine=machine,
        confirmation_key=confirmation_key,
    )
    account = config.run.account
    confirmed = {target.broker for target in live_targets(config)}
    make = partial(_make, config=config, clock=clock, calendar=calendar, symbols=symbols, pause=pause, paper=paper)
    made = {name: make(name, permission if name in confirmed else None) for name in broker_names(config)}
    if config.eval.live_trading.broker == "multi":
        routes = OrderRoutes.configured(config.brokers.multi.routes, made)
        broker: Broker = MultiBroker(made, routes, account=account, calendar=calendar, clock=clock)
    else:
        (broker,) = made.values()
    return ConfiguredBroker(
        broker=broker,
        trades_real_money=permission is not None,
        why_only_reducing=partial(_why_only_reducing, permission, account, clock),
    )


def require_permission(
    config: AegisConfig,
    workspace: Workspace,
    *,
    clock: Clock,
    environment: Mapping[str, str] = os.environ,
    machine: Callable[[], MachineNow] = this_machine,
    confirmation_key: Path | None = None,
) -> LivePermission | None:
    """Refuse real money that is not allowed now; return what allows it, None in paper trading. Nothing is reached.

    Parameters
    ----------
    config, workspace, clock, environment, machine, confirmation_key
        As :func:`broker_for`.

    Raises
    ------
    ConfigurationError
        Real money would be reached and one of the three is missing.
    """
    if config.eval.live_trading.paper_trading:
        for target in live_targets(config):
            raise ConfigurationError(
                f"eval.live_trading.paper_trading is true, and brokers.{target.broker} reaches {target.endpoints[0]}, "
                "which may trade real money; use an address and an account of paper trading"
            )
        return None
    workspace.require_folder()
    kept = kept_confirmation(config, workspace, machine=machine, confirmation_key=confirmation_key)
    require_variable(config.run.account, environment)
    kept.require(config.run.account, clock.now_utc())
    return kept


def _why_only_reducing(permission: LivePermission | None, account: str, clock: Clock) -> str:
    if permission is None:
        return ""
    try:
        permission.require(account, clock.now_utc())
    except ConfigurationError as error:
        return str(error)
    return ""


def _make(
    name: str,
    permission: LivePermission | None,
    *,
    config: AegisConfig,
    clock: Clock,
    calendar: TradingCalendar,
    symbols: Mapping[str, str] | None,
    pause: Callable[[float], None],
    paper: Callable[[], Broker] | None,
) -> Broker:
    account, settings = config.run.account, config.brokers
    if name == "alpaca":
        return AlpacaBroker(
            settings.alpaca,
            account=account,
            calendar=calendar,
            clock=clock,
            confirmation=permission,
            symbols=symbols,
            pause=pause,
        )
    if name == "interactive_brokers":
        return InteractiveBrokersBroker(
            settings.interactive_brokers,
            account=account,
            calendar=calendar,
            clock=clock,
            confirmation=permission,
            symbols=symbols,
            pause=pause,
        )
    if name == "simulated" and paper is not None:
        return paper()
    raise ConfigurationError(
        f"brokers.multi.routes names broker {name!r}, expected alpaca, interactive_brokers or simulated; correct "
        "the rule"
    )
