"""The account that is measured: its settings, the sessions before, and a clock that runs from an instant of the past.

Belongs here: what every part of the benchmark agrees on. Prices are files of a seeded walk, so nothing is downloaded;
the session's minutes are played from them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake.tables import DAILY_BARS
from aegis.workspace import Workspace

ACCOUNT = "paper"
CALENDAR = trading_calendar("XNYS")
SESSION = date(2014, 10, 15)
"""The session that is traded, a day of six and a half hours."""
_SESSIONS_BEFORE = 30
_SEED = 20141015
_SYMBOLS = tuple(f"S{number:02}" for number in range(24))
_BENCHMARK = "SPY"
_LONG_AFTER = datetime(2025, 1, 2, 12, tzinfo=UTC)
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
LIMITS: dict[str, Any] = {
    "max_position_size": 1.0,
    "price_collar_fraction": 0.5,
    "max_order_equity_fraction": 1.0,
    "max_day_shares": 1e9,
    "max_day_notional_usd": 1e12,
    "max_day_orders": 1_000_000,
    "max_orders_per_second": 1_000,
    "max_orders_per_minute": 10_000,
}
"""Wide where a limit would end the measurement, and as they are by default otherwise: every rule is asked."""


@dataclass(frozen=True)
class RunningClock:
    """A clock that runs at the pace of the machine's from an instant in the past.

    Parameters
    ----------
    begins_utc : datetime
        What it shows at the beginning; aware UTC.
    began_ns : int
        The machine's monotonic clock at the beginning, which processes share.
    speed : float
        Seconds that it shows for one of the machine's.
    """

    begins_utc: datetime
    began_ns: int = field(default_factory=time.monotonic_ns)
    speed: float = 1.0

    def now_utc(self) -> datetime:
        """Return the current instant."""
        return self.begins_utc + timedelta(microseconds=(time.monotonic_ns() - self.began_ns) / 1_000 * self.speed)


def settings(folder: Path, venue: Mapping[str, str] | None = None, *, health_port: int | None = None) -> AegisConfig:
    """Return the settings of the account.

    Parameters
    ----------
    folder : Path
        Where its workspace lives.
    venue : mapping, optional
        Addresses and keys of the venue, as ``brokers.alpaca`` has them.
    health_port : int, optional
        Of the health endpoint; none without it.
    """
    first = CALENDAR.offset(SESSION, -_SESSIONS_BEFORE)
    return AegisConfig.model_validate(
        {
            "run": {
                "source": "files",
                "home": folder,
                "account": ACCOUNT,
                "account_since": first,
                "first_session": first,
                "last_session": SESSION,
            },
            "market_data": {"files": {"folder": folder / "prices"}},
            "universe": {"min_history_sessions": 20},
            "brokers": {"alpaca": dict(venue or {})},
            "monitoring": {"health": {"port": health_port}},
            "eval": {
                "execution": {"default_algorithm": "twap", "interval_minutes": 1},
                "live_trading": {
                    "broker": "alpaca",
                    "market_data": {"source": "simulated"},
                    "risk_limits": LIMITS,
                },
            },
        }
    )


def make_history(config: AegisConfig) -> None:
    """Write prices, and fetch them into the account's lake as `aegis run` does."""
    # Dagster takes seconds to import, and most parts of the benchmark have no use for it.
    from dagster._core.storage import tags  # noqa: PLC0415

    from aegis_sensors.definitions import build_definitions  # noqa: PLC0415
    from aegis_sensors.instance import open_instance  # noqa: PLC0415
    from aegis_sensors.jobs import FETCH_MARKET_DATA  # noqa: PLC0415

    folder = config.market_data.files.folder
    assert folder is not None
    folder.mkdir()
    _prices().to_csv(folder / "bars.csv", index=False)
    first, last = config.run.first_session, config.run.last_session
    assert first is not None
    assert last is not None
    definitions = build_definitions(config, clock=FixedClock(_LONG_AFTER), source=None)
    with open_instance(Workspace.of(config)) as instance:
        definitions.resolve_job_def(FETCH_MARKET_DATA).execute_in_process(
            instance=instance,
            run_config=_SILENT,
            tags={
                tags.ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
                tags.ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
            },
        )


def last_closes(config: AegisConfig) -> dict[str, float]:
    """Return the closes before the session that is traded, USD by permanent symbol."""
    from aegis_resources.lake import LakeResource  # noqa: PLC0415 - the same

    before = CALENDAR.previous(SESSION)
    with LakeResource.of(Workspace.of(config)).open() as lake:
        bars = lake.read(DAILY_BARS, first=before, last=before, symbols=list(_SYMBOLS))
    return dict(zip(bars["symbol"].astype(str), bars["close_raw_usd"].astype(float), strict=True))


def _prices() -> pd.DataFrame:
    """Return daily bars of a quiet walk: `symbol, date, open, high, low, close, volume`."""
    draw = np.random.default_rng(_SEED)
    sessions = CALENDAR.sessions(CALENDAR.offset(SESSION, -_SESSIONS_BEFORE), SESSION)
    frames = []
    for symbol in (*_SYMBOLS, _BENCHMARK):
        moves = draw.normal(0.0, 0.003, len(sessions))
        close = np.round(draw.uniform(20.0, 80.0) * np.exp(np.cumsum(moves)), 2)
        opened = np.round(close * np.exp(draw.normal(0.0, 0.001, len(sessions))), 2)
        high, low = np.maximum(opened, close) + 0.05, np.minimum(opened, close) - 0.05
        volume = draw.integers(4_000_000, 6_000_000, len(sessions))
        columns = {"symbol": symbol, "date": sessions, "open": opened, "high": high, "low": low, "close": close}
        frames.append(pd.DataFrame({**columns, "volume": volume}))
    return pd.concat(frames).round(2)
