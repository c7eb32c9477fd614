"""Repairs of raw bars, by hand: what is mended, what is left alone, and the way back."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_quality import QualitySettings
from aegis.errors import ConfigurationError
from aegis.lake.tables import RAW_BARS
from aegis.market_data.configured_checks import configured_checks
from aegis.market_data.expectations import CHECKS
from aegis.market_data.repairs import repaired_bars

SESSION = date(2014, 6, 6)


def bar(**changed):
    row = {
        "session": SESSION,
        "symbol": "KO",
        "ticker": "KO",
        "open_raw_usd": 0.3,
        "high_raw_usd": 0.4,
        "low_raw_usd": 0.2,
        "close_raw_usd": 0.3,
        "volume_shares": 1000.0,
        "source": "vendor",
        "known_at_utc": trading_calendar("XNYS").close_utc(SESSION),
    }
    return RAW_BARS.conform(pd.DataFrame([row | changed]))


def test_blanks_around_ticker_and_source_are_cut_off():
    found = repaired_bars(bar(ticker=" KO\u00a0", source="vendor\t"))
    assert found.bars[["ticker", "source"]].iloc[0].tolist() == ["KO", "vendor"]
    assert found.changes[["column", "original", "repaired"]].to_numpy().tolist() == [
        ["ticker", " KO\u00a0", "KO"],
        ["source", "vendor\t", "vendor"],
    ]


def test_a_high_that_misses_the_open_by_rounding_is_set_to_it_and_reads_back():
    """0.1 + 0.2 is 0.30000000000000004 in binary floating point."""
    raw = bar(open_raw_usd=0.1 + 0.2, high_raw_usd=0.3)
    found = repaired_bars(raw)
    assert found.bars["high_raw_usd"].item() == 0.1 + 0.2
    change = found.changes.iloc[0]
    assert (change["column"], change["original"], change["repaired"]) == ("high_raw_usd", "0.3", "0.30000000000000004")
    restored = found.bars.assign(high_raw_usd=float(change["original"]))[RAW_BARS.column_names]
    pd.testing.assert_frame_equal(restored, raw, check_exact=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"high_raw_usd": 0.2999999},  # off by 3e-7 of the price: a wrong number, not its rounding
        {"low_raw_usd": 0.31},
        {"close_raw_usd": np.inf},
        {"close_raw_usd": -np.inf},
        {"high_raw_usd": np.nan},
        {"ticker": "  "},
        {"symbol": "KO "},
    ],
    ids=str,
)
def test_what_is_more_than_a_blank_or_rounding_is_left_alone(changed):
    raw = bar(**changed)
    found = repaired_bars(raw)
    pd.testing.assert_frame_equal(found.bars[RAW_BARS.column_names], raw, check_exact=True)
    assert found.changes.empty


def test_repairing_twice_changes_nothing_more():
    once = repaired_bars(bar(open_raw_usd=0.1 + 0.2, high_raw_usd=0.3, ticker="KO "))
    again = repaired_bars(once.bars[RAW_BARS.column_names])
    assert again.changes.empty


def test_configuration_gives_a_check_another_outcome_and_version():
    settings = QualitySettings(outcomes={"volume_is_near_its_usual": "block"})
    changed = {check.name: check for check in configured_checks(settings)}["volume_is_near_its_usual"]
    assert (changed.on_failure, changed.version, changed.is_blocking) == ("block", "1 as block", True)
    assert configured_checks(QualitySettings()) == CHECKS


@pytest.mark.parametrize("outcome", ["warn", "repair", "quarantine"])
@pytest.mark.parametrize(
    "name", ["primary_key_is_unique", "prices_are_positive", "high_low_bracket_open_close", "symbols_are_clean_text"]
)
def test_a_critical_check_blocks_whatever_is_configured(name, outcome):
    with pytest.raises(ConfigurationError, match=f"quality.outcomes.{name}: {outcome} is not allowed"):
        configured_checks(QualitySettings(outcomes={name: outcome}))


def test_no_check_can_be_given_an_outcome_that_lets_it_pass():
    assert all("pass" not in check.may_become for check in CHECKS)


def test_an_override_of_an_unknown_check_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean volume_is_near_its_usual"):
        configured_checks(QualitySettings(outcomes={"volume_is_near_its_usua": "block"}))
