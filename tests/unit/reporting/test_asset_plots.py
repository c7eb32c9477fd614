from __future__ import annotations

import base64
import struct

import numpy as np
import pandas as pd
import pytest

from aegis.errors import ReportingError
from aegis.reporting.asset_plots import (
    MAX_PICTURE_BYTES,
    bars_by_session_chart,
    equity_and_drawdown_chart,
    histograms_chart,
    metadata_picture,
    strategies_chart,
    weights_chart,
)

SESSIONS = pd.bdate_range("2014-01-02", periods=2750)


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=count)


def equity_rows() -> pd.DataFrame:
    equity = 1e6 * np.exp(np.cumsum(noise(2750)) * 0.01)
    peak = np.maximum.accumulate(equity)
    return pd.DataFrame({"session": SESSIONS, "equity_usd": equity, "drawdown": equity / peak - 1.0})


def test_eleven_years_of_equity_fit_into_metadata() -> None:
    png = equity_and_drawdown_chart(equity_rows())
    assert size(png) == (560, 288)
    picture = metadata_picture(png, "Equity [main]")
    assert picture.startswith("![Equity (main)](data:image/png;base64,")
    assert len(picture) < MAX_PICTURE_BYTES
    assert base64.b64decode(picture.split(",", 1)[1].rstrip(")")) == png


def test_the_same_rows_make_the_same_picture() -> None:
    assert equity_and_drawdown_chart(equity_rows()) == equity_and_drawdown_chart(equity_rows())


@pytest.mark.parametrize("column", ["equity_usd", "drawdown"])
@pytest.mark.parametrize("sessions", [60, 2750])
def test_ten_strategies_over_a_quarter_or_eleven_years_fit_into_metadata(column: str, sessions: int) -> None:
    rng = np.random.default_rng(8)
    parts = []
    for strategy in "ABCDEFGHIJ":
        equity = 1e6 * np.exp(np.cumsum(rng.normal(size=sessions)) * 0.01)
        drawdown = equity / np.maximum.accumulate(equity) - 1.0
        rows = {"session": SESSIONS[:sessions], "equity_usd": equity, "drawdown": drawdown}
        parts.append(pd.DataFrame(rows).assign(strategy=strategy))
    png = strategies_chart(pd.concat(parts), column, "backtests")
    assert size(png) == (560, 208)
    assert len(metadata_picture(png, "backtests")) < MAX_PICTURE_BYTES
    assert strategies_chart(pd.concat(parts[:3]), column, "backtests") != png


def test_weights_are_those_of_the_last_session() -> None:
    rows = pd.DataFrame(
        {
            "session": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-03"]),
            "symbol": ["AAA", "AAA", "BBB"],
            "target_weight": [0.9, 0.02, -0.03],
        }
    )
    last = rows[rows["session"] == "2024-01-03"]
    assert weights_chart(rows) == weights_chart(last)
    assert weights_chart(rows) != weights_chart(rows.assign(target_weight=[0.9, 0.02, 0.03]))


def test_bars_and_histograms_fit_into_metadata() -> None:
    bars = pd.DataFrame({"session": SESSIONS.repeat(3)})
    values = pd.DataFrame({name: noise(3000) for name in ("momentum", "reversal", "volatility", "trend", "liquidity")})
    values.loc[:300, "trend"] = np.nan
    values["liquidity"] = np.nan
    for png in (bars_by_session_chart(bars), histograms_chart(values, tuple(values), "Features")):
        assert len(metadata_picture(png, "picture")) < MAX_PICTURE_BYTES


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ReportingError, match="portfolio/account_values has no rows to draw"):
        equity_and_drawdown_chart(equity_rows().iloc[:0])


def test_a_picture_too_large_for_the_event_log_is_refused() -> None:
    with pytest.raises(ReportingError, match="60000 are allowed"):
        metadata_picture(bytes(60_000), "big")
