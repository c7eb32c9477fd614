"""An account that may trade real money at a host on this machine, with everything in place that this needs."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig, load_config
from aegis.execution.orders import Order
from aegis.live_trading.kept_confirmation import KeptConfirmation, kept_confirmation
from aegis.live_trading.live_safety import ConfiguredBroker, broker_for
from aegis.live_trading.this_machine import MachineNow, this_machine
from aegis.workspace import Workspace
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE

ACCOUNT, NUMBER = "fund", "123456789"
SETTINGS: dict[str, Any] = {
    "run": {"source": "yahoo", "account": ACCOUNT, "home": "home", "workspace": "fund"},
    "brokers": {
        "alpaca": {
            "url": "https://api.alpaca.markets",
            "account": NUMBER,
            "attempts": 1,
            "first_pause_seconds": 0.0,
            "poll_seconds": 3600.0,
        }
    },
    "eval": {"live_trading": {"broker": "alpaca", "paper_trading": False}},
}
ENVIRONMENT = {
    "AEGIS_LIVE_TRADING": ACCOUNT,
    "AEGIS_BROKERS__ALPACA__KEY_ID": KEY_ID,
    "AEGIS_BROKERS__ALPACA__SECRET_KEY": SECRET_KEY,
}
HOURS = 2.0
ENDS = AFTER_THE_CLOSE + timedelta(hours=HOURS)
_LOADED: dict[object, AegisConfig] = {}
"""Settings that were read before: the same file and the same variables say the same."""


@dataclass
class LiveWorld:
    """Settings, variables, files, time and machine of an account; change one, and `trade`."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SETTINGS))
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(AFTER_THE_CLOSE))
    machine: MachineNow = field(default_factory=this_machine)
    change: Callable[[AegisConfig], AegisConfig] = lambda config: config

    @property
    def key(self) -> Path:
        """The sealing key."""
        return self.folder / "state" / "aegis" / "live_confirmation.key"

    def config(self) -> AegisConfig:
        """Read the settings as a command does."""
        text = yaml.safe_dump(self.settings)
        variables = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AEGIS_")))
        known = (self.folder, text, variables)
        if known not in _LOADED:
            file = self.folder / "aegis.yaml"
            file.write_text(text, encoding="utf-8")
            _LOADED[known] = load_config(file)
        return self.change(_LOADED[known])

    def kept(self) -> KeptConfirmation:
        """Return the account's confirmation."""
        config = self.config()
        return kept_confirmation(config, Workspace.of(config), machine=lambda: self.machine, confirmation_key=self.key)

    def confirm(self) -> None:
        """Confirm that the account trades real money for two hours."""
        Workspace.of(self.config()).folder.mkdir(parents=True, exist_ok=True)
        kept = self.kept()
        kept.confirm(kept.terms.phrase, actor="ada", hours=HOURS, now_utc=self.clock.now_utc())

    def broker(self) -> ConfiguredBroker:
        """Make the configured broker as the trader does."""
        config = self.config()
        return broker_for(
            config,
            Workspace.of(config),
            clock=self.clock,
            calendar=trading_calendar("XNYS"),
            machine=lambda: self.machine,
            confirmation_key=self.key,
            environment=dict(os.environ),
        )

    def trade(self, order: Order) -> None:
        """Make the broker, connect it, send one order, and let go."""
        made = self.broker().broker
        try:
            made.connect()  # type: ignore[attr-defined] # the brokers of a network are connected
            made.submit(order)
        finally:
            made.close()

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Edit the file of the confirmation, which stays its user's alone."""
        path = self.kept().path
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    def later(self, hours: float, *, uptime_hours: float | None = None) -> None:
        """Let time pass, by the clock and by the machine's time since its start."""
        self.clock = SimulatedClock(self.clock.now_utc() + timedelta(hours=hours))
        seconds = 3600.0 * (hours if uptime_hours is None else uptime_hours)
        self.machine = replace(self.machine, uptime_seconds=self.machine.uptime_seconds + seconds)
