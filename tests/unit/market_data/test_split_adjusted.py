"""Prices put back to as-traded, against the adjustment done forwards here."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.errors import ConfigurationError
from aegis.market_data.sources.split_adjusted import as_traded, stated_splits_and_dividends

PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")
DAYS = pd.bdate_range("2020-01-01", periods=120)
RATIOS = (2.0, 3.0, 4.0, 10.0, 20.0, 1.5, 1.05, 0.5, 0.1)


def history(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return bars as traded, the same as a vendor adjusts and rounds them, and the splits."""
    generator = np.random.default_rng(seed)
    traded, adjusted, splits = [], [], []
    for symbol in ("AAA", "BBB", "CCC"):
        closes = np.round(generator.uniform(20, 900) * np.exp(np.cumsum(generator.normal(0, 0.02, len(DAYS)))), 2)
        shares = generator.integers(1_000, 9_000, len(DAYS)) * 600.0
        days = sorted(generator.choice(np.arange(1, len(DAYS)), generator.integers(0, 4), replace=False))
        drawn = [(day, float(generator.choice(RATIOS))) for day in days]
        splits += [
            {"session": DAYS[day], "symbol": symbol, "action": "split", "split_ratio": ratio, "dividend_usd": 0.0}
            for day, ratio in drawn
        ]
        for number, day in enumerate(DAYS):
            factor = np.prod([ratio for at, ratio in drawn if number < at])
            row = {"session": day, "symbol": symbol}
            traded.append(row | dict.fromkeys(PRICES, closes[number]) | {"volume_shares": shares[number]})
            adjusted.append(
                row
                | dict.fromkeys(PRICES, np.round(closes[number] / factor, 2))
                | {"volume_shares": np.round(shares[number] * factor), "factor": factor}
            )
    columns = ["session", "symbol", "action", "split_ratio", "dividend_usd"]
    return pd.DataFrame(traded), pd.DataFrame(adjusted), pd.DataFrame(splits, columns=columns)


@pytest.mark.parametrize("seed", range(20))
def test_prices_come_back_within_half_a_cent_of_the_adjusted_ones(seed: int) -> None:
    traded, adjusted, splits = history(seed)
    found, _ = as_traded(adjusted, splits, today=date(2021, 1, 1))
    for column in PRICES:
        off = (found[column] - traded[column]).abs()
        assert (off <= 0.005 * adjusted["factor"] + 0.005 * (adjusted["factor"] > 1) + 1e-9).all()
    shares_off = (found["volume_shares"] - traded["volume_shares"]).abs()
    assert (shares_off <= 0.5 / adjusted["factor"] + 0.5).all()
    untouched = adjusted["factor"] == 1.0
    pd.testing.assert_frame_equal(found.loc[untouched, list(PRICES)], traded.loc[untouched, list(PRICES)])


def test_the_order_of_the_splits_in_the_file_does_not_matter() -> None:
    _, adjusted, splits = history(0)
    assert splits["symbol"].duplicated().any()  # two of one stock
    forwards, _ = as_traded(adjusted, splits, today=date(2021, 1, 1))
    backwards, _ = as_traded(adjusted, splits[::-1], today=date(2021, 1, 1))
    pd.testing.assert_frame_equal(forwards, backwards)


def test_a_split_counts_from_its_day_on_and_not_before() -> None:
    bars = pd.DataFrame(
        {"session": pd.to_datetime(["2020-08-28", "2020-08-31"]), "symbol": "AAPL", "volume_shares": [400.0, 100.0]}
        | {column: [124.81, 129.04] for column in PRICES}
    )
    split = pd.DataFrame(
        {"session": pd.to_datetime(["2020-08-31"]), "symbol": "AAPL", "action": "split", "split_ratio": 4.0}
    )
    assert as_traded(bars, split, today=date(2020, 8, 30))[0].equals(bars)
    found, notes = as_traded(bars, split, today=date(2020, 8, 31))
    assert found["close_raw_usd"].tolist() == [499.24, 129.04]  # Apple closed at 499.23; 124.81 is rounded
    assert found["volume_shares"].tolist() == [100.0, 100.0]
    assert notes[0].startswith("AAPL: prices up to 2020-08-28 were adjusted by the vendor; ")
    assert notes[0].endswith(" known within 0.02 USD")


def test_a_heading_alone_says_that_there_were_none_and_other_symbols_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "actions.csv"
    heading = "symbol,ex_date,action,split_ratio\n"
    file.write_text(heading)
    assert stated_splits_and_dividends(file, ["AAPL"], setting="here").empty
    file.write_text(heading + "XYZ,2020-08-31,delisting,\nAAPL,2020-08-31,split,4\n")
    found = stated_splits_and_dividends(file, ["AAPL"], setting="here")
    assert found[["symbol", "split_ratio", "dividend_usd"]].to_numpy().tolist() == [["AAPL", 4.0, 0.0]]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"here names .*none\.csv, which is not a file"):
        stated_splits_and_dividends(tmp_path / "none.csv", ["AAPL"], setting="here")
