from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_vendors import YahooSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.yahoo import YAHOO, YahooSource
from aegis.market_data.sources.yahoo_download import Download, Downloaded
from tests.fake_stopwatch import FakeStopwatch

XNYS = trading_calendar("XNYS")
FIELDS = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]

# Apple around its 7:1 split of 2014-06-09, in Yahoo's terms of today: also divided by the 4:1 split of 2020-08-31.
# As traded: closes 647.35 (June 5), 645.57 (June 6), 93.70 (June 9), 94.25 (June 10); 3.29 USD ex 2014-05-08 on 588.
APPLE = pd.DataFrame(
    {
        "Close": [587.9888 / 28, 647.35 / 28, 645.57 / 28, 93.70 / 4, 94.25 / 4, 129.04],
        "Volume": [57574363 * 28, 75951141 * 28, 87484698 * 28, 75415000 * 4, 62777000 * 4, 225702700],
        "Dividends": [3.29 / 28, 0, 0, 0, 0, 0],
        "Stock Splits": [0, 0, 0, 7, 0, 4],
    },
    index=pd.to_datetime(["2014-05-08", "2014-06-05", "2014-06-06", "2014-06-09", "2014-06-10", "2020-08-31"]),
    dtype="float64",
)


def answer(frames: dict[str, pd.DataFrame], requested: Sequence[str]) -> pd.DataFrame:
    """Shape what yfinance 1.7.0 returns for group_by='ticker': one outer index, NaN where a symbol has no row.

    A symbol that failed has the six price columns and nothing in them, and no columns of actions.
    """
    parts: dict[str, pd.DataFrame] = {}
    index = pd.DatetimeIndex([])
    for frame in frames.values():
        index = index.union(frame.index)
    for symbol in requested:
        frame = frames.get(symbol)
        if frame is None:
            parts[symbol] = pd.DataFrame(np.nan, index=index, columns=FIELDS)
            continue
        full = frame.assign(Open=frame["Close"], High=frame["Close"], Low=frame["Close"])
        full["Adj Close"] = frame["Close"]
        parts[symbol] = full.reindex(index)
    return pd.concat(parts.values(), axis=1, keys=parts.keys(), names=["Ticker", "Price"])


class FakeYahoo:
    """Answers each request with the next of the given sets of frames, and remembers what was asked."""

    def __init__(self, *answers: dict[str, pd.DataFrame] | Exception | None) -> None:
        self.answers = list(answers)
        self.requests: list[list[str]] = []

    def __call__(self, symbols: Sequence[str], *, start: date, timeout: float) -> Downloaded:
        assert (start, timeout) == (date(2014, 1, 2), 30.0)
        self.requests.append(list(symbols))
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return Downloaded(None if given is None else answer(given, symbols))


def spy(days: Sequence[date]) -> pd.DataFrame:
    index = pd.DatetimeIndex(list(days))
    return pd.DataFrame({"Close": 190.0, "Volume": 1e8, "Dividends": 0.0, "Stock Splits": 0.0}, index=index)


JUNE = XNYS.sessions(date(2014, 5, 8), date(2014, 6, 10))
SPY = spy(JUNE)


def source(
    download: Download,
    *,
    symbols: tuple[str, ...] = ("AAPL",),
    attempts: int = 3,
    last: date = date(2014, 6, 10),
    watch: FakeStopwatch | None = None,
) -> YahooSource:
    settings = YahooSettings(symbols=symbols, attempts=attempts)
    calls = VendorCalls(YAHOO, settings, stopwatch=watch or FakeStopwatch(), generator=np.random.default_rng(1))
    return YahooSource(
        settings, XNYS, benchmark_symbol="SPY", last_session=last, vendor_delay=timedelta(minutes=15),
        download=download, calls=calls,
    )  # fmt: skip


def test_prices_volumes_and_dividends_are_put_back_as_traded() -> None:
    yahoo = source(FakeYahoo({"AAPL": APPLE, "SPY": SPY}))
    bars = yahoo.bars(date(2014, 5, 8), date(2014, 6, 10))
    apple = bars[bars["symbol"] == "AAPL"]
    assert apple["close_raw_usd"].tolist() == [587.9888, 647.35, 645.57, 93.70, 94.25]
    assert apple["volume_shares"].tolist() == [57574363, 75951141, 87484698, 75415000, 62777000]
    assert (yahoo.name, yahoo.is_simulated, yahoo.session_range()) == ("yahoo", False, (JUNE[0], JUNE[-1]))
    assert apple["known_at_utc"].iloc[-1] == pd.Timestamp("2014-06-10 20:15", tz="UTC")


def test_splits_after_the_last_session_unadjust_prices_and_are_not_delivered() -> None:
    actions = source(FakeYahoo({"AAPL": APPLE, "SPY": SPY})).corporate_actions(date(2014, 1, 1), date(2030, 1, 1))
    actions = actions[actions["action"].isin(["split", "dividend"])]
    assert actions[["session", "action", "split_ratio"]].to_numpy().tolist() == [
        [pd.Timestamp("2014-06-09"), "split", 7.0]
    ]


def test_a_split_counts_where_its_day_has_no_price() -> None:
    """Before a day's first price yfinance gives its events in a row of NaN; a price may be missing inside as well."""
    frame = APPLE.copy()
    frame.loc[["2014-06-09", "2020-08-31"], "Close"] = np.nan
    yahoo = source(FakeYahoo({"AAPL": frame, "SPY": SPY}))
    bars = yahoo.bars(date(2014, 5, 8), date(2014, 6, 10))
    apple = bars[bars["symbol"] == "AAPL"]
    assert apple["session"].dt.day.tolist() == [8, 5, 6, 10], "a row without a price is no bar"
    assert apple["close_raw_usd"].tolist() == [587.9888, 647.35, 645.57, 94.25]
    splits = yahoo.corporate_actions(date(2014, 5, 8), date(2014, 6, 10)).query("action == 'split'")
    assert splits[["session", "split_ratio"]].to_numpy().tolist() == [[pd.Timestamp("2014-06-09"), 7.0]]


def test_a_dividend_is_per_share_held_before_its_ex_date() -> None:
    frame = APPLE.assign(Dividends=[0, 0, 0.47 / 4, 0.5 / 4, 0, 0])  # June 6 before, June 9 with the 7:1 split
    actions = source(FakeYahoo({"AAPL": frame, "SPY": SPY})).corporate_actions(date(2014, 6, 6), date(2014, 6, 9))
    paid = actions[actions["action"] == "dividend"]
    assert paid["dividend_usd"].tolist() == pytest.approx([0.47 * 7, 0.5 * 7], abs=1e-12)


def test_capital_gains_of_a_fund_are_paid_out_like_dividends() -> None:
    fund = SPY.assign(**{"Capital Gains": np.where(SPY.index == "2014-06-02", 0.8, 0.0)})
    actions = source(FakeYahoo({"SPY": fund}), symbols=("SPY",)).corporate_actions(JUNE[0], JUNE[-1])
    assert actions[["session", "dividend_usd"]].to_numpy().tolist() == [[pd.Timestamp("2014-06-02"), 0.8]]


def test_single_precision_noise_is_removed_and_fractional_ticks_are_kept() -> None:
    closes = np.array([190.03125, 189.99, 190.015625], dtype=np.float32).astype(float)
    frame = spy(JUNE[:3]).assign(Close=closes * (1 + 4e-8))
    bars = source(FakeYahoo({"SPY": frame}), symbols=("SPY",)).bars(JUNE[0], JUNE[2])
    np.testing.assert_allclose(bars["close_raw_usd"], [190.03125, 189.99, 190.015625], rtol=3e-7, atol=0)
    assert bars["close_raw_usd"].iloc[1] == 189.99


@pytest.mark.parametrize("nothing", [{}, None, ConnectionError("no route to host")])
def test_an_empty_answer_is_a_failure_after_every_attempt(nothing: dict[str, pd.DataFrame] | Exception | None) -> None:
    watch = FakeStopwatch()
    download = FakeYahoo(nothing, nothing, nothing)
    yahoo = source(download, watch=watch)
    with pytest.raises(SourceUnavailable, match="in 3 of 3 attempt"):
        yahoo.bars(JUNE[0], JUNE[-1])
    assert download.requests == [["AAPL", "SPY"]] * 3
    assert len(watch.slept) == 2


def test_the_failure_names_symbols_cause_and_remedy() -> None:
    with pytest.raises(SourceUnavailable) as failure:
        source(FakeYahoo({}), attempts=1).bars(JUNE[0], JUNE[-1])
    assert str(failure.value) == (
        "Yahoo: daily bars from 2014-01-02 until today: no answer in 1 of 1 attempt(s): no bars for 2 of 2 symbols "
        "(AAPL, SPY): an empty answer; check the network, correct market_data.yahoo.symbols, or use run.source: files"
    )


def test_only_missing_symbols_are_asked_for_again() -> None:
    download = FakeYahoo({"SPY": SPY}, OSError("timed out"), {"AAPL": APPLE})
    assert set(source(download).listings()["symbol"]) == {"AAPL", "SPY"}
    assert download.requests == [["AAPL", "SPY"], ["AAPL"], ["AAPL"]]


def test_a_partly_empty_answer_names_the_missing_symbols_only() -> None:
    with pytest.raises(SourceUnavailable, match=r"no bars for 1 of 3 symbols \(WRONG\)"):
        source(FakeYahoo({"AAPL": APPLE, "SPY": SPY}), symbols=("AAPL", "WRONG"), attempts=1).session_range()


def test_a_failure_is_not_remembered() -> None:
    yahoo = source(FakeYahoo({}, {"AAPL": APPLE, "SPY": SPY}), attempts=1)
    with pytest.raises(SourceUnavailable):
        yahoo.session_range()
    assert yahoo.session_range() == (JUNE[0], JUNE[-1])


def test_a_programming_error_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        source(FakeYahoo(ZeroDivisionError())).session_range()


@pytest.mark.parametrize("zone", ["America/New_York", "UTC"], ids=["exchange midnight", "the same instant in UTC"])
def test_rows_stamped_with_a_time_zone_fall_on_the_exchanges_day(zone: str) -> None:
    stamped = SPY.copy()
    stamped.index = stamped.index.tz_localize("America/New_York").tz_convert(zone)

    def download(symbols: Sequence[str], *, start: date, timeout: float) -> Downloaded:
        assert start
        assert timeout
        full = stamped.assign(Open=1.0, High=1.0, Low=1.0)
        return Downloaded(pd.concat([full], axis=1, keys=list(symbols), names=["Ticker", "Price"]))

    bars = source(download, symbols=("SPY",)).bars(JUNE[0], JUNE[-1])
    assert bars["session"].tolist() == [pd.Timestamp(day) for day in JUNE]


def test_a_late_listing_begins_with_its_first_row() -> None:
    late = APPLE.iloc[3:]
    listings = source(FakeYahoo({"AAPL": late, "SPY": SPY})).listings()
    assert listings["first_session"].tolist() == [pd.Timestamp("2014-06-09"), pd.Timestamp(JUNE[0])]


def test_rows_on_days_without_a_session_are_left_out_with_a_note() -> None:
    stray = spy([*JUNE, date(2014, 5, 26)])  # Memorial Day
    yahoo = source(FakeYahoo({"SPY": stray}), symbols=("SPY",))
    assert yahoo.session_range() == (JUNE[0], JUNE[-1])
    assert "SPY: 1 row(s) on days without a session left out" in yahoo.coverage_notes()


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(MalformedData, match=r"\(symbol, field\) was expected"):
        source(lambda *_, **__: Downloaded(SPY)).session_range()


@pytest.mark.parametrize("symbol", ["VOD.L", "7203.T", "aapl"])
def test_symbols_of_other_currencies_are_refused(symbol: str) -> None:
    with pytest.raises(ConfigurationError, match=r"market_data\.yahoo\.symbols"):
        source(FakeYahoo(), symbols=(symbol,)).session_range()


def test_a_last_session_before_all_rows_is_a_failure() -> None:
    with pytest.raises(SourceUnavailable, match="no bar on or before 2014-02-03"):
        source(FakeYahoo({"AAPL": APPLE, "SPY": SPY}), last=date(2014, 2, 3)).session_range()
