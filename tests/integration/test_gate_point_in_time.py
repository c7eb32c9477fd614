"""Cutting off or garbling the future changes no verdict at or before t."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.config_quality import QualitySettings
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.quality_gate import GateResult, run_quality_gate
from tests.property.clean_market import CALENDAR, PRICES, SESSIONS, Market
from tests.property.corrupted_bars import corrupted
from tests.property.corrupted_deliveries import DELIVERY_FAULTS
from tests.property.corrupted_prices import PRICE_FAULTS

FIRST = SESSIONS[62].date()
INSTANTS = 200
FRAMES = ("check_results", "daily_bars", "quarantined_bars", "repaired_values")
PLANTED = (
    "one bar × 100",
    "spike × 1.45 that reverts",
    "the same bar for five sessions",
    "blank after the ticker",
    "a row missing",
    "volume × 1000",
)


def faulty_market() -> Market:
    """Return one market with a fault of each planted kind, each in a symbol and session of its own."""
    faults = {fault.name: fault for fault in (*PRICE_FAULTS, *DELIVERY_FAULTS)}
    whole = corrupted(faults[PLANTED[0]], 11).market
    for name in PLANTED[1:]:
        case = corrupted(faults[name], 11)
        own = whole.bars["symbol"] == case.symbol
        bars = pd.concat([whole.bars[~own], case.market.bars[case.market.bars["symbol"] == case.symbol]])
        whole = replace(whole, bars=RAW_BARS.conform(bars))
    return whole


def judge(market: Market, last: date) -> GateResult:
    days = CALENDAR.sessions(FIRST, last)
    return run_quality_gate(
        market.bars,
        listings=LISTINGS.conform(market.listings),
        actions=CORPORATE_ACTIONS.empty(),
        calendar=CALENDAR,
        settings=QualitySettings(),
        snapshot_id=1,
        first=FIRST,
        last=last,
        protected=dict.fromkeys(days, frozenset()),
    )


def garbled(market: Market, after: pd.Timestamp, random: np.random.Generator) -> Market:
    """Return the market with every number after `after` replaced, and some rows gone."""
    bars = market.bars.copy()
    later = (bars["session"] > after).to_numpy()
    for column in (*PRICES, "volume_shares"):
        bars.loc[later, column] = random.lognormal(3.0, 3.0, int(later.sum())) * random.choice([-1.0, 1.0])
    bars.loc[later, "ticker"] = "XX "
    return market.with_bars(bars[~(later & (random.random(len(bars)) < 0.2))])


def assert_the_future_changes_nothing(draws: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    market = faulty_market()
    whole = judge(market, SESSIONS[-1].date())
    assert set(whole.check_results["outcome"]) == {"pass", "warn", "repair", "quarantine", "block"}
    for draw in range(draws):
        at = SESSIONS[int(random.integers(63, len(SESSIONS) - 1))]
        if draw % 2:
            found = judge(garbled(market, at, random), SESSIONS[-1].date())
        else:
            found = judge(market.with_bars(market.bars[market.bars["session"] <= at]), at.date())
        for name in FRAMES:
            pd.testing.assert_frame_equal(until(found, name, at), until(whole, name, at), check_exact=True)


def until(result: GateResult, name: str, at: pd.Timestamp) -> pd.DataFrame:
    frame = getattr(result, name)
    return frame[frame["session"] <= at].reset_index(drop=True)


def test_the_future_changes_no_verdict():
    assert_the_future_changes_nothing(2, seed=1)


@pytest.mark.long
def test_the_future_changes_no_verdict_at_two_hundred_instants():
    assert_the_future_changes_nothing(INSTANTS, seed=2)
