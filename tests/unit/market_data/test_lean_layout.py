from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import FilesSettings
from aegis.errors import ConfigurationError, MalformedData
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.sources.files import FilesSource

XNYS = trading_calendar("XNYS")
DAYS = XNYS.sessions(date(2014, 1, 2), date(2014, 6, 30))
END = "2050-12-31"


def iso(days: list[date]) -> list[str]:
    return [day.isoformat() for day in days]


class LeanFolder:
    """A small vendor delivery, written by hand.

    ``OLD`` was renamed ``NEW`` on day 60. ``DEAD`` ends on day 50. ``HOLE`` traded as ``MISS``, which is not delivered,
    on days 20 to 39. ``BARE`` has no factors. ``BITS`` has four bars of a promised two dozen. ``REUSE`` was another
    company's ticker until day 29. ``FAIL`` starts on day 5 and stops after twenty sessions, though its map goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bars: list[tuple[str, str, float, float]] = []
        self.maps = [
            ("SPY", iso(DAYS)[0], "SPY"), ("SPY", END, "SPY"),
            ("NEW", iso(DAYS)[0], "OLD"), ("NEW", iso(DAYS)[59], "OLD"), ("NEW", END, "NEW"),
            ("DEAD", iso(DAYS)[0], "DEAD"), ("DEAD", iso(DAYS)[50], "DEAD"),
            ("HOLE", iso(DAYS)[0], "HOLE"), ("HOLE", iso(DAYS)[19], "HOLE"), ("HOLE", iso(DAYS)[39], "MISS"),
            ("HOLE", END, "HOLE"),
            ("BARE", iso(DAYS)[0], "BARE"), ("BARE", END, "BARE"),
            ("BITS", iso(DAYS)[0], "BITS"), ("BITS", END, "BITS"),
            ("REUSE", iso(DAYS)[30], "REUSE"), ("REUSE", END, "REUSE"),
            ("FAIL", iso(DAYS)[5], "FAIL"), ("FAIL", END, "FAIL"),
        ]  # fmt: skip
        self.factors = [("SPY", iso(DAYS)[0], 1.0, 1.0, 1.0), ("SPY", END, 1.0, 1.0, 0.0)]
        for symbol in ("DEAD", "HOLE", "BITS", "REUSE", "FAIL"):
            self.factors += [(symbol, iso(DAYS)[0], 1.0, 1.0, 1.0), (symbol, END, 1.0, 1.0, 0.0)]
        # NEW: 1.25 USD on a close of 50 before day 80 (factor 0.975), 2:1 before day 90
        self.factors += [
            ("NEW", iso(DAYS)[0], 0.975, 0.5, 1.0),
            ("NEW", iso(DAYS)[79], 0.975, 0.5, 50.0),
            ("NEW", iso(DAYS)[89], 1.0, 0.5, 50.0),
            ("NEW", END, 1.0, 1.0, 0.0),
        ]
        self.add("SPY", DAYS, 180.0)
        self.add("OLD", DAYS[:60], 50.0)
        self.add("NEW", DAYS[60:90], 50.0)
        self.add("NEW", DAYS[90:], 25.0)
        self.add("DEAD", DAYS[:51], 5.0)
        self.add("HOLE", DAYS[:20] + DAYS[40:], 30.0)
        self.add("BARE", DAYS, 8.0)
        self.add("BITS", DAYS[100:104], 9.0)
        self.add("REUSE", DAYS, 70.0)
        self.add("FAIL", DAYS[5:25], 2.0)

    def add(self, ticker: str, days: list[date], close: float) -> None:
        self.bars += [(ticker, day, close, 1_000.0) for day in iso(days)]

    def write(self, *, until: date | None = None) -> Path:
        bars = pd.DataFrame(self.bars, columns=["symbol", "date", "close", "volume"]).astype({"volume": "int64"})
        bars["date"] = pd.to_datetime(bars["date"])
        if until is not None:
            bars = bars[bars["date"] <= pd.Timestamp(until)]
        for name in ("open", "high", "low"):
            bars[name] = bars["close"]
        maps = pd.DataFrame(self.maps, columns=["permtick", "valid_until", "ticker"])
        factors = pd.DataFrame(
            self.factors, columns=["symbol", "date", "price_factor", "split_factor", "reference_price"]
        )
        bars.to_parquet(self.folder / "daily_raw.parquet")
        maps.assign(valid_until=pd.to_datetime(maps["valid_until"])).to_parquet(self.folder / "map_files.parquet")
        factors.assign(date=pd.to_datetime(factors["date"])).to_parquet(self.folder / "factors.parquet")
        return self.folder


@pytest.fixture
def lean(tmp_path: Path) -> LeanFolder:
    return LeanFolder(tmp_path)


def source(folder: Path, *, last_session: date | None = None, benchmark: str = "SPY") -> FilesSource:
    return FilesSource(
        FilesSettings(folder=folder), XNYS, benchmark_symbol=benchmark, vendor_delay=timedelta(minutes=15),
        last_session=last_session,
    )  # fmt: skip


def test_bars_carry_permanent_symbol_ticker_of_the_day_and_when_they_were_known(lean: LeanFolder) -> None:
    bars = source(lean.write()).bars(DAYS[0], DAYS[-1])
    pd.testing.assert_frame_equal(bars, RAW_BARS.conform(bars))
    new = bars[bars["symbol"] == "NEW"]
    assert new["ticker"].tolist() == ["OLD"] * 60 + ["NEW"] * (len(DAYS) - 60)
    assert set(new["close_raw_usd"]) == {50.0, 25.0}
    # the close of 2014-01-02 in New York is 21:00 UTC
    assert new["known_at_utc"].iloc[0] == datetime(2014, 1, 2, 21, 15, tzinfo=UTC)


def test_listings_follow_the_map_and_the_delivered_bars(lean: LeanFolder) -> None:
    listings = source(lean.write()).listings()
    pd.testing.assert_frame_equal(listings, LISTINGS.conform(listings))
    found = [
        (row["symbol"], row["ticker"], row["first_session"].date(), str(row["last_session"])[:10])
        for row in listings.to_dict("records")
    ]
    assert found == [
        ("DEAD", "DEAD", DAYS[0], str(DAYS[50])),
        ("FAIL", "FAIL", DAYS[10], str(DAYS[29])),  # five sessions to prove itself, and five after its last bar
        ("HOLE", "HOLE", DAYS[0], str(DAYS[19])),
        ("HOLE", "HOLE", DAYS[40], "NaT"),
        ("NEW", "OLD", DAYS[0], str(DAYS[59])),
        ("NEW", "NEW", DAYS[60], "NaT"),
        ("REUSE", "REUSE", DAYS[35], "NaT"),
        ("SPY", "SPY", DAYS[0], "NaT"),
    ]
    spy = listings[listings["symbol"] == "SPY"].iloc[0]
    assert (spy["sector"], spy["tradable"]) == ("Benchmark", False)
    assert listings.loc[listings["symbol"] != "SPY", "tradable"].all()


def test_factors_and_maps_become_dated_actions(lean: LeanFolder) -> None:
    actions = source(lean.write()).corporate_actions(DAYS[0], DAYS[-1])
    pd.testing.assert_frame_equal(actions, CORPORATE_ACTIONS.conform(actions))
    found = [
        (
            row["session"].date(),
            row["symbol"],
            row["action"],
            row["split_ratio"],
            row["dividend_usd"],
            row["new_ticker"],
        )
        for row in actions.to_dict("records")
    ]
    assert found == [
        (DAYS[20], "HOLE", "delisting", 1.0, 0.0, None),
        (DAYS[30], "FAIL", "delisting", 1.0, 0.0, None),
        (DAYS[51], "DEAD", "delisting", 1.0, 0.0, None),
        (DAYS[60], "NEW", "rename", 1.0, 0.0, "NEW"),
        (DAYS[80], "NEW", "dividend", 1.0, 1.25, None),
        (DAYS[90], "NEW", "split", 2.0, 0.0, None),
    ]
    assert actions["known_at_utc"].tolist() == [pd.Timestamp(XNYS.open_utc(row[0])) for row in found]


def test_what_is_left_out_is_named_with_its_reason(lean: LeanFolder) -> None:
    delivered = source(lean.write())
    symbols = set(delivered.bars(DAYS[0], DAYS[-1])["symbol"])
    assert symbols == {"SPY", "NEW", "DEAD", "HOLE", "REUSE", "FAIL"}
    notes = "\n".join(delivered.coverage_notes())
    assert f"REUSE: 30 bar(s) of {DAYS[0]} to {DAYS[29]} lie outside every map interval" in notes
    assert "BARE: " in notes
    assert "no factor file, so its splits and dividends are unknown; left out" in notes
    assert (
        f"BITS: 4 bar(s) from {DAYS[100]} on, and an instrument is covered after 5 sessions with one; left out" in notes
    )
    assert f"HOLE: no bars delivered for ticker MISS, {DAYS[20]} to {DAYS[39]}; not covered then" in notes
    assert f"HOLE: no bars for 20 sessions until {DAYS[40]}: a coverage gap" in notes


def test_another_companys_bars_under_the_same_ticker_do_not_leak_in(lean: LeanFolder) -> None:
    bars = source(lean.write()).bars(DAYS[0], DAYS[-1])
    assert bars.loc[bars["symbol"] == "REUSE", "session"].min() == pd.Timestamp(DAYS[35])


@pytest.mark.parametrize("delivered", [25, 40, len(DAYS)])
def test_a_company_that_fails_is_listed_until_it_does(lean: LeanFolder, delivered: int) -> None:
    """20 bars are most of those promised until day 40 and few of those until the end: what is to come says nothing."""
    bars = source(lean.write(until=DAYS[delivered - 1])).bars(DAYS[0], DAYS[delivered - 1])
    assert bars.loc[bars["symbol"] == "FAIL", "session"].dt.date.tolist() == DAYS[10:25]


def test_dividends_of_a_time_without_bars_are_left_out_with_a_note(lean: LeanFolder) -> None:
    lean.factors = [row for row in lean.factors if row[0] != "HOLE"]
    lean.factors += [("HOLE", iso(DAYS)[0], 0.99, 1.0, 1.0), ("HOLE", iso(DAYS)[29], 0.99, 1.0, 30.0),
                     ("HOLE", END, 1.0, 1.0, 0.0)]  # fmt: skip
    delivered = source(lean.write())
    actions = delivered.corporate_actions(DAYS[0], DAYS[-1])
    assert not ((actions["symbol"] == "HOLE") & (actions["action"] == "dividend")).any()
    assert f"HOLE: 1 split(s) or dividend(s) outside its listing left out, {DAYS[30]} to {DAYS[30]}" in (
        delivered.coverage_notes()
    )


@pytest.mark.parametrize("position", [9, 10, 19, 20, 24, 29, 30, 34, 35, 45, 51, 60, 80, 90, 103, 110])
def test_deleting_all_bars_after_t_changes_no_bar_and_no_action_at_or_before_t(lean: LeanFolder, position: int) -> None:
    t = DAYS[position]
    whole = source(lean.write())
    expected = whole.bars(DAYS[0], t), whole.corporate_actions(DAYS[0], t)
    cut_by_setting = source(lean.folder, last_session=t)
    cut_in_file = source(lean.write(until=t))
    for cut in (cut_by_setting, cut_in_file):
        assert cut.session_range() == (DAYS[0], t)
        pd.testing.assert_frame_equal(cut.bars(DAYS[0], t), expected[0], check_exact=True)
        pd.testing.assert_frame_equal(cut.corporate_actions(DAYS[0], t), expected[1], check_exact=True)


def test_two_instruments_with_one_ticker_on_one_day_are_refused(lean: LeanFolder) -> None:
    lean.maps += [("TWIN", iso(DAYS)[0], "SPY"), ("TWIN", END, "SPY")]
    with pytest.raises(MalformedData, match=r"map_files\.parquet: SPY and TWIN both trade as SPY"):
        source(lean.write()).listings()


def test_a_missing_file_of_a_named_layout_is_named(lean: LeanFolder) -> None:
    (lean.write() / "factors.parquet").unlink()
    settings = FilesSettings(folder=lean.folder, layout="lean")
    files = FilesSource(settings, XNYS, benchmark_symbol="SPY", vendor_delay=timedelta())
    with pytest.raises(ConfigurationError, match=r"has no factors\.parquet.*'columns'"):
        files.listings()


def test_a_missing_column_is_named(lean: LeanFolder) -> None:
    file = lean.write() / "map_files.parquet"
    pd.read_parquet(file).drop(columns="ticker").to_parquet(file)
    with pytest.raises(MalformedData, match=r"map_files\.parquet: no column 'ticker'"):
        source(lean.folder).listings()


def test_an_unknown_benchmark_names_the_nearest_symbols_and_the_setting(lean: LeanFolder) -> None:
    with pytest.raises(ConfigurationError, match=r"eval\.metrics\.benchmark_symbol: 'SPX' .* nearest SPY"):
        source(lean.write(), benchmark="SPX").session_range()
