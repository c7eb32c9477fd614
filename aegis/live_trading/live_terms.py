"""What a confirmation of live trading is bound to: everything that real money would be traded with.

Belongs here: reading it from the configuration. Who confirmed it, and until when, is
:mod:`aegis.live_trading.kept_confirmation`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from aegis.config import LIVE_TRADING_VARIABLE, AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.brokers import alpaca_hosts, interactive_brokers_account
from aegis.workspace import Workspace

_SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTarget:
    """Real money within reach of one broker.

    Parameters
    ----------
    broker : str
        Its name in the configuration.
    endpoints : tuple of str
        Addresses, ``host:port``, sorted.
    account_code : str
        The broker's own name of the account.
    """

    broker: str
    endpoints: tuple[str, ...]
    account_code: str

    @property
    def told(self) -> str:
        """Say it as the phrase does that a person types."""
        return f"{self.account_code} at {' and '.join(self.endpoints)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTerms:
    """What is confirmed.

    Parameters
    ----------
    account : str
        Ours.
    broker : str
        ``eval.live_trading.broker``.
    targets : tuple of LiveTarget
        Where real money is, by broker; others of several brokers are for paper trading.
    limits : tuple of (str, float)
        ``eval.live_trading.risk_limits``.
    config_hash : str
        SHA-256 of all settings, secrets left out.
    folder : str
        The workspace, with the numbers of its folder on its disk: a copy has others.
    """

    account: str
    broker: str
    targets: tuple[LiveTarget, ...]
    limits: tuple[tuple[str, float], ...]
    config_hash: str
    folder: str

    @property
    def phrase(self) -> str:
        """What a person types to confirm it."""
        return f"trade real money of {self.account} in {', '.join(target.told for target in self.targets)}"

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        record = asdict(self)
        record["targets"] = [{**asdict(target), "endpoints": list(target.endpoints)} for target in self.targets]
        record["limits"] = dict(self.limits)
        return record


def broker_names(config: AegisConfig) -> tuple[str, ...]:
    """Return the brokers that the configuration trades with, sorted; those of the routes where it is several.

    Raises
    ------
    ConfigurationError
        There are no routes.
    """
    name = config.eval.live_trading.broker
    if name != "multi":
        return (name,)
    found = sorted({broker for route in config.brokers.multi.routes for broker in route.brokers})
    if not found:
        raise ConfigurationError(
            "eval.live_trading.broker is multi and brokers.multi.routes is empty; give at least one rule"
        )
    return tuple(found)


def live_targets(config: AegisConfig) -> tuple[LiveTarget, ...]:
    """Return where the configuration would reach real money, by broker; nothing where all is paper trading.

    Raises
    ------
    ConfigurationError
        An address cannot be understood, or there are no routes.

    Notes
    -----
    An account at Interactive Brokers that is not named is taken for one of paper trading, unless its port is not; the
    broker asks for its code at every logon.
    """
    settings = config.brokers
    reached: dict[str, tuple[Callable[[], tuple[str, ...]], str | None]] = {
        "alpaca": (lambda: alpaca_hosts.live_endpoints(settings.alpaca), settings.alpaca.account),
        "interactive_brokers": (
            lambda: interactive_brokers_account.live_endpoints(settings.interactive_brokers),
            settings.interactive_brokers.account,
        ),
    }
    found = []
    for name in broker_names(config):
        if name in reached:
            endpoints_of, code = reached[name]
            if endpoints := endpoints_of():
                found.append(LiveTarget(broker=name, endpoints=endpoints, account_code=code or ""))
    return tuple(found)


def live_terms(config: AegisConfig, workspace: Workspace) -> LiveTerms:
    """Return what a person would confirm, or what must have been confirmed.

    Raises
    ------
    ConfigurationError
        The configuration may not trade real money at all: it says paper trading, reaches no real money, does not name
        the broker's account, or has prices or an account that are simulated.
    """
    targets = live_targets(config)
    account = config.run.account
    if config.eval.live_trading.paper_trading:
        raise ConfigurationError(
            f"eval.live_trading.paper_trading is true, so account {account!r} does not trade real money; set it to "
            "false where that is meant"
        )
    if not targets:
        raise ConfigurationError(
            f"eval.live_trading.paper_trading is false, and broker {config.eval.live_trading.broker!r} reaches paper "
            "trading only; set it to true, or the broker's address and account to those of real money"
        )
    for target in targets:
        if not target.account_code:
            raise ConfigurationError(
                f"brokers.{target.broker}.account is not set; real money is traded only in an account that is named: "
                "set it to the account's number at the broker"
            )
    _require_real_market(config)
    folder = workspace.folder.stat()
    return LiveTerms(
        account=account,
        broker=config.eval.live_trading.broker,
        targets=targets,
        limits=tuple(sorted(config.eval.live_trading.risk_limits.model_dump().items())),
        config_hash=hashlib.sha256(config.model_dump_json().encode()).hexdigest(),
        folder=f"{workspace.folder} ({folder.st_dev}:{folder.st_ino})",
    )


def require_variable(account: str, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse an account that the environment does not name for real money.

    Raises
    ------
    ConfigurationError
        The variable is missing or names another account.
    """
    named = environment.get(LIVE_TRADING_VARIABLE)
    if named != account:
        found = "it is not set" if named is None else f"found {named!r}"
        raise ConfigurationError(
            f"account {account!r} trades real money only while {LIVE_TRADING_VARIABLE} holds its name, {found}; set "
            f"{LIVE_TRADING_VARIABLE}={account} in the trader's environment, or eval.live_trading.paper_trading to true"
        )


def secrets_of(settings: BaseModel) -> bytes:
    """Return every secret of the settings with its place, for a keyed hash and nothing else."""
    return b"\0".join(f"{place}={value}".encode() for place, value in _secrets(settings, ""))


def _secrets(settings: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name in sorted(type(settings).model_fields):
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield f"{prefix}{name}", value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value, f"{prefix}{name}.")


def _require_real_market(config: AegisConfig) -> None:
    data, run = config.market_data, config.run
    if _SIMULATED in (run.source, *(data.sources if run.source == "multi" else ())):
        raise ConfigurationError(
            f"run.source is {run.source}, whose prices are simulated; real money is not traded on them: choose a "
            "source of real prices"
        )
    if data.faults:
        raise ConfigurationError("market_data.faults plants faults; real money is not traded on them: leave it out")
    if run.account == _SIMULATED:
        raise ConfigurationError(
            "run.account is simulated, the name of the simulated account; give the account of real money a name of its "
            "own"
        )
