from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from aegis.calendars import trading_calendar
from aegis.config import FilesSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.market_data.sources.files import FilesSource

XNYS = trading_calendar("XNYS")
DAYS = XNYS.sessions(date(2014, 6, 2), date(2014, 6, 13))
PRICES = "10.5,11,10,10.75"


def bars_csv(
    symbols: tuple[str, ...] = ("SPY", "AAA"), *, header: str = "symbol,date,open,high,low,close,volume"
) -> str:
    rows = [f"{symbol},{day},{PRICES},1200" for symbol in symbols for day in DAYS]
    return "\n".join([header, *rows]) + "\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def source(folder: Path | None, **settings: object) -> FilesSource:
    return FilesSource(
        FilesSettings.model_validate({"folder": folder} | settings),
        XNYS,
        benchmark_symbol="SPY",
        vendor_delay=timedelta(minutes=15),
    )


def test_a_csv_with_the_usual_names_needs_no_settings(tmp_path: Path) -> None:
    files = source(write(tmp_path, {"bars.csv": bars_csv(header="Symbol,DATE,Open,High,Low,Close,Volume")}))
    assert files.session_range() == (DAYS[0], DAYS[-1])
    found = files.bars(DAYS[1], DAYS[2])
    assert found["symbol"].tolist() == ["AAA", "SPY", "AAA", "SPY"]
    first = found.iloc[0].to_dict()
    assert first == {
        "session": pd.Timestamp(DAYS[1]), "symbol": "AAA", "ticker": "AAA", "open_raw_usd": 10.5, "high_raw_usd": 11.0,
        "low_raw_usd": 10.0, "close_raw_usd": 10.75, "volume_shares": 1200.0, "source": "files",
        "known_at_utc": pd.Timestamp(datetime(2014, 6, 3, 20, 15, tzinfo=UTC)),
    }  # fmt: skip
    assert (files.name, files.is_simulated, files.benchmark_symbol) == ("files", False, "SPY")


def test_one_file_for_each_symbol_is_named_by_the_file(tmp_path: Path) -> None:
    rows = "\n".join(f"{day},{PRICES},5" for day in DAYS)
    text = f"date,open,high,low,close,volume\n{rows}\n"
    files = source(write(tmp_path, {"SPY.csv": text, "BRK-B.csv": text}))
    assert files.listings()["symbol"].tolist() == ["BRK-B", "SPY"]


def test_parquet_and_csv_give_the_same_bars(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "parquet").mkdir()
    write(tmp_path / "csv", {"bars.csv": bars_csv()})
    table = pd.read_csv(tmp_path / "csv" / "bars.csv", parse_dates=["date"])
    table.to_parquet(tmp_path / "parquet" / "bars.parquet")
    one, other = (source(tmp_path / kind).bars(DAYS[0], DAYS[-1]) for kind in ("csv", "parquet"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_tickers_that_look_like_missing_values_stay_tickers(tmp_path: Path) -> None:
    files = source(write(tmp_path, {"bars.csv": bars_csv(("SPY", "NA", "NAN", "TRUE"))}))
    assert files.listings()["symbol"].tolist() == ["NA", "NAN", "SPY", "TRUE"]


def test_other_column_names_are_mapped(tmp_path: Path) -> None:
    text = bars_csv(header="ric,day,o,h,l,last,shares")
    columns = {
        "symbol": "ric",
        "date": "day",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "last",
        "volume": "shares",
    }
    assert len(source(write(tmp_path, {"bars.csv": text}), columns=columns).bars(DAYS[0], DAYS[0])) == 2


def test_a_ticker_column_gives_renames(tmp_path: Path) -> None:
    rows = [f"AAA,{'OLD' if day < DAYS[4] else 'NEW'},{day},{PRICES},1" for day in DAYS]
    rows += [f"SPY,SPY,{day},{PRICES},1" for day in DAYS]
    files = source(write(tmp_path, {"bars.csv": "symbol,ticker,date,open,high,low,close,volume\n" + "\n".join(rows)}))
    actions = files.corporate_actions(DAYS[0], DAYS[-1])
    assert actions[["session", "symbol", "action", "new_ticker"]].to_numpy().tolist() == [
        [pd.Timestamp(DAYS[4]), "AAA", "rename", "NEW"]
    ]


ACTIONS = (
    "symbol,ex_date,action,split_ratio,dividend_usd,pay_date,known_at\n"
    f"AAA,{DAYS[2]},split,2,,,\n"
    f"AAA,{DAYS[3]},dividend,,0.25,2014-06-14,2014-05-20T20:30:00Z\n"
    f"AAA,{DAYS[7]},delisting,,,,2014-06-10T12:00:00-04:00\n"
)


def test_an_actions_file_is_read_with_its_announcements(tmp_path: Path) -> None:
    bars = "\n".join(line for line in bars_csv().splitlines() if not any(f"AAA,{day}" in line for day in DAYS[7:]))
    files = source(write(tmp_path, {"bars.csv": bars, "Actions.csv": ACTIONS}))
    found = files.corporate_actions(DAYS[0], DAYS[-1])
    assert found["action"].tolist() == ["split", "dividend", "delisting"]
    assert found["split_ratio"].tolist() == [2.0, 1.0, 1.0]
    assert found["dividend_usd"].tolist() == [0.0, 0.25, 0.0]
    assert found["pay_session"].tolist()[1] == pd.Timestamp("2014-06-16")  # the 14th is a Saturday
    assert found["known_at_utc"].tolist() == [
        pd.Timestamp("2014-06-04 13:30", tz="UTC"),
        pd.Timestamp("2014-05-20 20:30", tz="UTC"),
        pd.Timestamp("2014-06-10 16:00", tz="UTC"),
    ]
    ended = files.listings().iloc[0]
    assert (ended["symbol"], ended["last_session"]) == ("AAA", pd.Timestamp(DAYS[6]))


def test_an_action_on_the_first_day_of_a_listing_concerns_nobody_but_one_on_the_day_of_a_rename_does(
    tmp_path: Path,
) -> None:
    rows = [f"AAA,{'OLD' if day < DAYS[4] else 'NEW'},{day},{PRICES},1" for day in DAYS]
    rows += [f"SPY,SPY,{day},{PRICES},1" for day in DAYS]
    bars = "symbol,ticker,date,open,high,low,close,volume\n" + "\n".join(rows)
    actions = f"symbol,ex_date,action,dividend_usd\nAAA,{DAYS[0]},dividend,0.1\nAAA,{DAYS[4]},dividend,0.2\n"
    files = source(write(tmp_path, {"bars.csv": bars, "actions.csv": actions}))
    found = files.corporate_actions(DAYS[0], DAYS[-1])
    assert found.loc[found["action"] == "dividend", "dividend_usd"].tolist() == [0.2]
    assert f"AAA: 1 split(s) or dividend(s) outside its listing left out, {DAYS[0]} to {DAYS[0]}" in (
        files.coverage_notes()
    )


def test_a_factors_file_is_unpicked(tmp_path: Path) -> None:
    factors = f"symbol,date,price_factor,split_factor\nAAA,{DAYS[3]},0.98,0.5\nAAA,2050-12-31,1,1\n"
    found = source(write(tmp_path, {"bars.csv": bars_csv(), "factors.csv": factors})).corporate_actions(
        DAYS[0], DAYS[-1]
    )
    assert found[["session", "action", "split_ratio", "dividend_usd"]].to_numpy().tolist() == [
        [pd.Timestamp(DAYS[4]), "dividend", 1.0, 0.215],  # 2 % of 10.75
        [pd.Timestamp(DAYS[4]), "split", 2.0, 0.0],
    ]


def test_instruments_give_names_and_sectors(tmp_path: Path) -> None:
    text = "symbol,name,sector\nAAA,Triple A Inc,Energy\nSPY,S&P 500 fund,Fund\n"
    listings = source(write(tmp_path, {"bars.csv": bars_csv(), "instruments.csv": text})).listings()
    assert listings[["symbol", "name", "sector", "tradable"]].to_numpy().tolist() == [
        ["AAA", "Triple A Inc", "Energy", True],
        ["SPY", "S&P 500 fund", "Benchmark", False],
    ]


def test_bad_prices_and_repeated_rows_are_passed_on_for_the_gate_to_name(tmp_path: Path) -> None:
    text = bars_csv() + f"AAA,{DAYS[-1]},-1,2,3,,0\n"
    found = source(write(tmp_path, {"bars.csv": text})).bars(DAYS[-1], DAYS[-1])
    assert found["symbol"].tolist() == ["AAA", "AAA", "SPY"]
    assert found["open_raw_usd"].tolist() == [10.5, -1.0, 10.5]
    assert np.isnan(found["close_raw_usd"].iloc[1])


ACTIONS_PAID_IN_2200 = "symbol,ex_date,action,dividend_usd,pay_date\nAAA,2014-06-04,dividend,0.1,2200-09-01\n"


def replaced(old: str, new: str) -> str:
    text = bars_csv()
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"bars.csv": bars_csv(header="symbol,date,open,high,low,last,volume")},
         r"bars\.csv: no column 'close'.*market_data\.files\.columns: \{close: "),
        ({"bars.csv": bars_csv(header="name,date,open,high,low,close,volume")}, r"bars\.csv: no column 'symbol'"),
        ({"bars.csv": replaced(f"AAA,{DAYS[1]}", "AAA,06/03/2014")},
         r"bars\.csv line 13, column 'date': expected a date as YYYY-MM-DD, found '06/03/2014'"),
        ({"bars.csv": replaced(f"AAA,{DAYS[1]}", "AAA,2014-06-31")}, r"line 13, column 'date'.*'2014-06-31'"),
        ({"bars.csv": replaced(f"AAA,{DAYS[1]}", f"AAA,{DAYS[1]}Tgarbage")}, r"line 13, column 'date'.*Tgarbage'"),
        ({"bars.csv": replaced("10.75,1200", "10.\x0075,1200")}, r"bars\.csv: byte \d+ is NUL.*again as UTF-8"),
        ({"bars.csv": bars_csv(), "actions.csv": ACTIONS_PAID_IN_2200},
         r"AAA 2014-06-04: action 'dividend' has a pay date of 2200-09-01, which XNYS does not reach.*correct"),
        ({"bars.csv": replaced(f"AAA,{DAYS[1]}", "AAA,")}, "column 'date': no date"),
        ({"bars.csv": replaced("10.75,1200", "ten,1200")},
         r"bars\.csv line 2, column 'close': expected a finite number.*'ten'"),
        ({"bars.csv": replaced("10.75,1200", '"1,075.5",1200')}, r"column 'close'.*'1,075\.5'"),
        ({"bars.csv": replaced("10.75,1200", "inf,1200")}, "column 'close': expected a finite number"),
        ({"bars.csv": replaced(f"AAA,{DAYS[1]}", "AAA,2014-06-07")},
         r"AAA 2014-06-07 \(Saturday\): a bar on a day that is no session of XNYS"),
        ({"bars.csv": bars_csv(("SPY", "../../etc"))}, "is not a symbol"),
        ({"bars.csv": "symbol,date,open,high,low,close,volume\n"}, r"bars\.csv: no rows"),
        ({"bars.csv": bars_csv().replace(",", ";")},
         r"bars\.csv: its columns are separated by semicolons and not by commas, .*'symbol;date;open;"),
        ({"bars.csv": bars_csv().replace(",", ";").replace(".", ",")}, "separated by semicolons .* points in decimal"),
        ({"bars.csv": bars_csv().replace(",", "\t")}, "separated by tabs"),
        ({"bars.csv": ""}, r"bars\.csv: cannot be read as csv"),
        ({"bars.parquet": "not parquet"}, r"bars\.parquet: cannot be read as parquet"),
        ({"bars.csv": bars_csv(), "actions.csv": "symbol,ex_date,action\nAAA,2014-06-04,spinoff\n"},
         "AAA 2014-06-04: action 'spinoff' is not a known action"),
        ({"bars.csv": bars_csv(header="symbol,date,open,high,low,Close,volume,close")},
         r"bars\.csv: the columns \['Close', 'close'\] can all be 'close'; keep or rename"),
        ({"bars.csv": bars_csv(header="symbol,date,open,high,low,close,volume,close")},
         r"bars\.csv: the columns \['close', 'close'\] can all be 'close'"),
        ({"bars.csv": bars_csv().replace(",1200", ",1200,")}, r"bars\.csv: its rows have more values than the 7 names"),
        ({"bars.csv": bars_csv(), "instruments.csv": "symbol,name,currency\nAAA,Apple, Inc.,EUR\nSPY,Fund,USD\n"},
         r"instruments\.csv: its rows have more values than the 3 names .*double quotes"),
        ({"bars.csv": bars_csv(header="symbol,date,open,high,low,close,volume,ticker")},
         r"bars\.csv line 2, column 'ticker': expected a symbol in every row, found ''"),
        ({"bars.csv": bars_csv(), "actions.csv": ACTIONS.replace("Z\n", "\n")},
         r"actions\.csv line 3, column 'known_at': expected an instant with its time zone"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused_with_file_place_value_and_remedy(
    tmp_path: Path, files: dict[str, str], problem: str
) -> None:
    with pytest.raises(MalformedData, match=problem):
        source(write(tmp_path, files)).listings()


def parquet_rows(folder: Path, **columns: object) -> FilesSource:
    """Return a source over one Parquet file of two rows, with columns changed."""
    usual = {"symbol": ["SPY", "AAA"], "date": [date(2014, 6, 2)] * 2, "open": 10.5, "high": 11.0, "low": 10.0}
    pd.DataFrame(usual | {"close": 10.75, "volume": 5} | columns).to_parquet(folder / "bars.parquet")
    return source(folder)


def test_a_row_without_a_symbol_is_no_instrument_called_none(tmp_path: Path) -> None:
    with pytest.raises(MalformedData, match=r"bars\.parquet row 1, column 'symbol': expected a symbol in every row"):
        parquet_rows(tmp_path, symbol=["SPY", None]).listings()


def test_a_time_that_nanoseconds_do_not_reach_is_refused_by_its_row(tmp_path: Path) -> None:
    far = pd.Series(np.array(["2014-06-02", "9999-12-31"], dtype="datetime64[us]"))
    with pytest.raises(MalformedData, match=r"row 1, column 'date': expected a year from 1678 to 2261, found .*9999"):
        parquet_rows(tmp_path, date=far).listings()


def test_what_pandas_noted_in_a_parquet_file_is_not_needed_and_its_damage_no_crash(tmp_path: Path) -> None:
    expected = parquet_rows(tmp_path).bars(DAYS[0], DAYS[0])
    table = pq.read_table(tmp_path / "bars.parquet")
    damaged = {"pandas": '{"columns": [{"name": "open"}], "index_columns": ["open"], "column_indexes": [{}]}'}
    pq.write_table(table.replace_schema_metadata(damaged), tmp_path / "bars.parquet")
    pd.testing.assert_frame_equal(source(tmp_path).bars(DAYS[0], DAYS[0]), expected)


def test_a_column_that_two_names_fit_is_taken_where_the_map_says_so(tmp_path: Path) -> None:
    files = write(tmp_path, {"bars.csv": bars_csv(header="symbol,date,open,high,Close,close,volume")})
    found = source(files, columns={"close": "close", "low": "Close"}).bars(DAYS[0], DAYS[0])
    assert found[["low_raw_usd", "close_raw_usd"]].to_numpy().tolist() == [[10.0, 10.75]] * 2


def test_what_is_called_as_a_table_and_cannot_be_read_is_refused_and_other_files_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path, {"bars.csv": bars_csv(), "MSFT.csv.gz": "packed"})
    assert "1 file(s) or folder(s) beside the .csv and .parquet files are not read: MSFT.csv.gz" in (
        source(folder).coverage_notes()
    )
    (folder / "IBM.csv").symlink_to(folder / "moved.csv")
    with pytest.raises(ConfigurationError, match=r"IBM\.csv in .* is a link that leads to no file; put the file"):
        source(folder).listings()
    (folder / "IBM.csv").unlink()
    (folder / "parts.parquet").mkdir()
    with pytest.raises(ConfigurationError, match=r"parts\.parquet in .* is no file"):
        source(folder).listings()


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"market_data\.files\.folder is not set"):
        source(None).listings()
    with pytest.raises(ConfigurationError, match="is not a folder"):
        source(tmp_path / "absent").listings()
    with pytest.raises(ConfigurationError, match=r"no \.csv or \.parquet file of bars"):
        source(tmp_path).listings()
    write(tmp_path, {"bars.csv": bars_csv()})
    with pytest.raises(ConfigurationError, match="'clsoe' is not a column; the nearest is 'close'"):
        source(tmp_path, columns={"clsoe": "last"}).listings()
    write(tmp_path, {"actions.csv": ACTIONS, "factors.csv": "symbol,date,price_factor,split_factor\n"})
    with pytest.raises(
        ConfigurationError, match=r"actions\.csv, factors\.csv state splits and dividends more than once"
    ):
        source(tmp_path).listings()


def test_a_benchmark_without_bars_names_what_there_is(tmp_path: Path) -> None:
    folder = write(tmp_path, {"bars.csv": bars_csv(("AAA", "BBB"))})
    problem = r"benchmark_symbol: 'SPY' is not among the 2 .* available AAA, BBB.*never holds it"
    with pytest.raises(ConfigurationError, match=problem):
        source(folder).session_range()


def test_sessions_outside_the_files_are_refused_and_not_answered_with_nothing(tmp_path: Path) -> None:
    files = source(write(tmp_path, {"bars.csv": bars_csv()}))
    with pytest.raises(SourceUnavailable, match=f"no bars from 2014-07-01 .* covers {DAYS[0]} to {DAYS[-1]}"):
        files.bars(date(2014, 7, 1), date(2014, 7, 2))


MERGER_HEADER = "symbol,ex_date,action,merger_cash_usd,merger_ratio,acquirer,record_date,known_at\n"


def merged(folder: Path, *, bars_of_aaa: int, actions: str) -> FilesSource:
    """Return files in which AAA has bars on the first sessions only, with mergers stated."""
    rows = [f"SPY,{day},{PRICES},1200" for day in DAYS] + [f"AAA,{day},{PRICES},9" for day in DAYS[:bars_of_aaa]]
    text = "\n".join(["symbol,date,open,high,low,close,volume", *rows]) + "\n"
    return source(write(folder, {"bars.csv": text, "actions.csv": MERGER_HEADER + actions}))


def test_a_merger_ends_the_listing_and_is_known_with_its_delisting_since_its_announcement(tmp_path: Path) -> None:
    row = f"AAA,{DAYS[5]},merger,11.5,,BUYER,{DAYS[4]},2014-06-04T08:00:00-04:00\n"
    files = merged(tmp_path, bars_of_aaa=5, actions=row)
    found = files.corporate_actions(DAYS[0], DAYS[-1])
    announced = pd.Timestamp("2014-06-04 12:00", tz="UTC")
    assert found[["session", "action", "known_at_utc"]].to_numpy().tolist() == [
        [pd.Timestamp(DAYS[5]), "delisting", announced],
        [pd.Timestamp(DAYS[5]), "merger", announced],
    ]
    terms = found.iloc[1]
    assert (terms["merger_cash_usd"], terms["merger_ratio"], terms["acquirer"]) == (11.5, 0.0, "BUYER")
    assert terms["record_session"] == pd.Timestamp(DAYS[4])
    assert files.listings().query("symbol == 'AAA'")["last_session"].tolist() == [pd.Timestamp(DAYS[4])]


def test_a_merger_that_no_end_of_trading_follows_is_left_out_with_a_note(tmp_path: Path) -> None:
    """Bars of AAA stop on the third session without notice, so it is listed for five more, to the eighth."""
    files = merged(tmp_path, bars_of_aaa=3, actions=f"AAA,{DAYS[9]},merger,11.5,,,,\n")
    found = files.corporate_actions(DAYS[0], DAYS[-1])
    assert found[["session", "action"]].to_numpy().tolist() == [[pd.Timestamp(DAYS[8]), "delisting"]]
    assert files.coverage_notes()[-1] == (
        f"AAA {DAYS[9]}: a merger is stated and the listing does not end with the session before; it is left out, "
        "correct its date"
    )


def test_a_merger_after_the_last_bar_is_kept_as_announced(tmp_path: Path) -> None:
    row = "AAA,2014-06-20,merger,0,0.5,SPY,,2014-06-05T08:00:00-04:00\n"
    files = merged(tmp_path, bars_of_aaa=10, actions=row)
    found = files.corporate_actions(DAYS[0], date(2014, 7, 1))
    assert found["action"].tolist() == ["delisting", "merger"]
    assert set(found["session"]) == {pd.Timestamp("2014-06-20")}
    assert np.isnan(found["merger_ratio"].iloc[0])
    assert found["merger_ratio"].iloc[1] == 0.5
    assert files.listings()["last_session"].isna().all()


def test_dated_facts_of_instruments_are_kept_apart_from_the_listing(tmp_path: Path) -> None:
    header = "symbol,from,sector,industry,lot_shares,tick_usd,shortability,known_at\n"
    rows = (
        "AAA,,Energy,Drilling,100,0.01,no,\n"
        f"AAA,{DAYS[4]},Utilities,Water,,,yes,2014-06-05T09:00:00-04:00\n"
        "ZZZ,,Nobody,None,,,,\n"
    )
    files = source(write(tmp_path, {"bars.csv": bars_csv(), "instruments.csv": header + rows}))
    found = files.instruments()
    assert found is not None
    shown = found[["symbol", "first_session", "sector", "industry", "lot_shares", "shortability"]]
    assert shown.to_numpy().tolist() == [
        ["AAA", pd.Timestamp(DAYS[0]), "Energy", "Drilling", 100.0, "no"],
        ["AAA", pd.Timestamp(DAYS[4]), "Utilities", "Water", 1.0, "yes"],
        ["SPY", pd.Timestamp(DAYS[0]), "Unclassified", "Unclassified", 1.0, "unknown"],
    ]
    assert found["known_at_utc"].tolist()[1] == pd.Timestamp("2014-06-05 13:00", tz="UTC")
    assert files.listings().set_index("symbol").loc["AAA", "sector"] == "Utilities"


def test_prices_in_another_currency_are_refused(tmp_path: Path) -> None:
    files = {"bars.csv": bars_csv(), "instruments.csv": "symbol,currency\nAAA,EUR\n"}
    with pytest.raises(MalformedData, match=r"AAA 2014-06-02: is not priced in USD .*EUR"):
        source(write(tmp_path, files)).listings()


def test_a_folder_without_facts_of_instruments_states_none(tmp_path: Path) -> None:
    assert source(write(tmp_path, {"bars.csv": bars_csv()})).instruments() is None
