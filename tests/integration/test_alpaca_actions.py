"""Alpaca's corporate actions, asked for with alpaca-py against a server on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_vendors import AlpacaSettings
from aegis.errors import MalformedData
from aegis.market_data.sources.alpaca import AlpacaSource
from aegis.market_data.sources.alpaca_actions import Rename, earlier_and_later_tickers
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2022, 6, 1), date(2022, 6, 30)
DAYS = XNYS.sessions(FIRST, LAST)
PROCESSED = {"process_date": "2022-06-15", "cusip": "000000000"}


def dividend(symbol: str, ex_date: str, rate: float, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "rate": rate, "special": False, "foreign": False, "ex_date": ex_date, **PROCESSED, **more}


def split(new: Any, old: Any) -> dict[str, Any]:
    return {"symbol": "META", "new_rate": new, "old_rate": old, "ex_date": "2022-06-06", **PROCESSED}


def rename(old: str, new: str, day: str) -> dict[str, str]:
    return {"old_symbol": old, "new_symbol": new, "old_cusip": "1", "new_cusip": "2", "process_date": day}


def asked(
    actions: dict[str, list[Any]], *, symbols: Sequence[str] = ("META",), days: Sequence[date] = DAYS, **settings: Any
) -> tuple[AlpacaSource, AlpacaServer]:
    """Return a source that has asked, and the server, which is closed."""
    rows = {symbol: [alpaca_bar(day, 100.0) for day in days] for symbol in symbols}
    rows["SPY"] = [alpaca_bar(day, 400.0) for day in DAYS]
    with AlpacaServer(rows, actions) as server:
        assert isinstance(server, AlpacaServer)
        given = {"symbols": symbols, "first_session": FIRST, "url": server.url, "key_id": KEY_ID}
        alpaca = AlpacaSource(
            AlpacaSettings.model_validate({**given, "secret_key": SECRET_KEY, "burst_requests": 50, **settings}),
            XNYS, benchmark_symbol="SPY", last_session=LAST, vendor_delay=timedelta(minutes=15),
        )  # fmt: skip
        alpaca.session_range()
        return alpaca, server


def rows(alpaca: AlpacaSource, *columns: str) -> list[list[Any]]:
    found = alpaca.corporate_actions(FIRST, LAST)
    return found[["session", "symbol", "action", *columns]].to_numpy().tolist()


def at(day: str) -> pd.Timestamp:
    return pd.Timestamp(day)


def test_splits_and_dividends_of_the_session_that_opens_next_are_told_and_no_change_of_names() -> None:
    """What `aegis trade` asks at an opening, before the session is final."""
    today = XNYS.next(LAST)
    told = {
        "forward_splits": [{**split(20, 1), "ex_date": today.isoformat()}],
        "cash_dividends": [dividend("META", today.isoformat(), 0.5), dividend("META", "2022-07-05", 9.0)],
        "name_changes": [rename("META", "MTVR", today.isoformat())],
        "cash_mergers": [{"acquiree_symbol": "META", "rate": 1.0, "effective_date": today.isoformat(), **PROCESSED}],
    }
    alpaca, server = asked(told)
    found = alpaca.corporate_actions(today, XNYS.offset(today, 5))
    assert found[["session", "action", "split_ratio", "dividend_usd"]].to_numpy().tolist() == [
        [at(today.isoformat()), "dividend", 1.0, 0.5],
        [at(today.isoformat()), "split", 20.0, 0.0],
    ]
    assert rows(alpaca, "split_ratio") == [], "nothing of it is told of the sessions before"
    assert alpaca.listings().set_index("symbol").loc["META", "ticker"] == "META"
    asked_until = {r.query["end"] for r in server.requests if r.path == "/v1/corporate-actions"}
    assert asked_until == {today.isoformat()}


def test_splits_and_dividends_have_ratio_cash_and_pay_date() -> None:
    alpaca, _ = asked({
        "forward_splits": [split(20, 1)],
        "reverse_splits": [{"symbol": "SPY", "new_rate": 1, "old_rate": 8, "ex_date": "2022-06-07", **PROCESSED}],
        "stock_dividends": [{"symbol": "META", "rate": 0.05, "ex_date": "2022-06-08", **PROCESSED}],
        "cash_dividends": [dividend("META", "2022-06-09", 0.5, payable_date="2022-06-20")],
    })  # fmt: skip
    assert rows(alpaca, "split_ratio", "dividend_usd") == [
        [at("2022-06-06"), "META", "split", 20.0, 0.0],
        [at("2022-06-07"), "SPY", "split", 0.125, 0.0],
        [at("2022-06-08"), "META", "split", 1.05, 0.0],
        [at("2022-06-09"), "META", "dividend", 1.0, 0.5],
    ]
    paid = alpaca.corporate_actions(FIRST, LAST).query("action == 'dividend'").iloc[0]
    assert paid["pay_session"] == at("2022-06-21")  # June 20, 2022 was Juneteenth, observed
    assert paid["known_at_utc"] == pd.Timestamp("2022-06-09 13:30", tz="UTC")


def test_a_renamed_company_keeps_its_symbol_and_the_actions_of_its_old_ticker() -> None:
    alpaca, server = asked({
        "name_changes": [rename("FB", "META", "2022-06-09")],
        "cash_dividends": [dividend("FB", "2022-06-07", 0.25), dividend("FB", "2022-06-14", 9.0)],
    })  # fmt: skip
    assert rows(alpaca, "dividend_usd", "new_ticker") == [
        [at("2022-06-07"), "META", "dividend", 0.25, None],
        [at("2022-06-09"), "META", "rename", 0.0, "META"],
    ]  # the dividend of June 14 is another company's, which took the ticker over
    bars = alpaca.bars(FIRST, LAST).query("symbol == 'META'").set_index("session")["ticker"]
    assert (bars["2022-06-08"], bars["2022-06-09"]) == ("FB", "META")
    asked_for = [request.query["symbols"] for request in server.requests if "actions" in request.path]
    assert asked_for == ["META,SPY", "FB"]


def test_symbols_of_an_earlier_day_are_followed_to_their_later_tickers() -> None:
    alpaca, server = asked(
        {
            "name_changes": [rename("FB", "META", "2022-06-09")],
            "forward_splits": [{"symbol": "META", "new_rate": 2, "old_rate": 1, "ex_date": "2022-06-14", **PROCESSED}],
        },
        symbols=("FB",), symbols_as_of="2022-06-01",
    )  # fmt: skip
    assert rows(alpaca, "new_ticker") == [
        [at("2022-06-09"), "FB", "rename", "META"],
        [at("2022-06-14"), "FB", "split", None],
    ]
    assert server.requests[0].query["asof"] == "2022-06-01"


@pytest.mark.parametrize("kind", ["cash_mergers", "stock_mergers", "stock_and_cash_mergers"])
def test_a_merger_ends_the_listing_of_who_is_taken_over(kind: str) -> None:
    merger = {
        "acquirer_symbol": "SPY", "acquirer_cusip": "1", "acquirer_rate": 0.4, "acquiree_symbol": "TWTR",
        "acquiree_cusip": "2", "acquiree_rate": 1, "cash_rate": 54.2, "rate": 54.2, "effective_date": "2022-06-16",
        "process_date": "2022-06-17",
    }  # fmt: skip
    alpaca, _ = asked({kind: [merger]}, symbols=("TWTR",), days=XNYS.sessions(FIRST, date(2022, 6, 15)))
    assert rows(alpaca) == [[at("2022-06-16"), "TWTR", "delisting"], [at("2022-06-16"), "TWTR", "merger"]]
    assert alpaca.listings().query("symbol == 'TWTR'")["last_session"].tolist() == [at("2022-06-15")]
    merged = alpaca.corporate_actions(FIRST, date(2022, 6, 30)).query("action == 'merger'")
    assert merged[["merger_cash_usd", "merger_ratio", "acquirer"]].to_numpy().tolist() == [[54.2, 0.4, "SPY"]]
    note = next(note for note in alpaca.coverage_notes() if "merger" in note)
    assert note.startswith(f"TWTR 2022-06-16: {kind.replace('_', ' ')[:-1]}, ")
    assert "cash_rate 54.2" in note


@pytest.mark.parametrize(
    ("kind", "terms", "cash", "ratio", "acquirer"),
    [
        ("cash_mergers", {"rate": 54.2}, 54.2, 0.0, None),
        ("stock_mergers", {"acquirer_symbol": "NEW", "acquirer_rate": 3, "acquiree_rate": 2}, 0.0, 1.5, "NEW"),
        (
            "stock_and_cash_mergers",
            {"acquirer_symbol": "SPY", "acquirer_rate": 0.4, "acquiree_rate": 1, "cash_rate": 7},
            7.0,
            0.4,
            "SPY",
        ),
    ],
)
def test_what_a_merger_pays_is_for_one_share(
    kind: str, terms: dict[str, object], cash: float, ratio: float, acquirer: str | None
) -> None:
    dated = {"acquiree_symbol": "TWTR", "effective_date": "2022-06-16", "process_date": "2022-06-17"}
    merger = {**dated, **terms, "payable_date": "2022-06-21"}
    alpaca, _ = asked({kind: [merger]}, symbols=("TWTR",), days=XNYS.sessions(FIRST, date(2022, 6, 15)))
    (row,) = alpaca.corporate_actions(FIRST, date(2022, 6, 30)).query("action == 'merger'").to_dict("records")
    assert (row["merger_cash_usd"], row["merger_ratio"], row["acquirer"]) == (cash, ratio, acquirer)
    assert row["pay_session"] == at("2022-06-21")


def test_shares_of_an_acquirer_are_not_taken_for_those_of_a_company_that_has_its_ticker_today() -> None:
    """META is FB until June 30: whoever is META on the 16th is another company, and nobody has its prices."""
    merger = {
        "acquirer_symbol": "META", "acquirer_rate": 0.4, "acquiree_symbol": "TWTR", "acquiree_rate": 1,
        "effective_date": "2022-06-16", "process_date": "2022-06-17",
    }  # fmt: skip
    renamed = {"stock_mergers": [merger], "name_changes": [rename("FB", "META", "2022-06-30")]}
    alpaca, _ = asked(renamed, symbols=("TWTR", "META"), days=XNYS.sessions(FIRST, date(2022, 6, 15)))
    told = [row for row in rows(alpaca) if row[1] == "TWTR"]
    assert told == [[at("2022-06-16"), "TWTR", "delisting"]]
    assert any("TWTR 2022-06-16: stock merger" in note for note in alpaca.coverage_notes())


def test_a_merger_of_no_shares_is_refused() -> None:
    merger = {
        "acquirer_symbol": "SPY", "acquirer_rate": 0.4, "acquiree_symbol": "TWTR", "acquiree_rate": 0,
        "effective_date": "2022-06-16", "process_date": "2022-06-17",
    }  # fmt: skip
    with pytest.raises(MalformedData, match="TWTR 2022-06-16: a merger of 0 shares"):
        asked({"stock_mergers": [merger]}, symbols=("TWTR",), days=XNYS.sessions(FIRST, date(2022, 6, 15)))


def test_a_worthless_removal_ends_the_listing_at_its_process_date() -> None:
    alpaca, _ = asked(
        {"worthless_removals": [{"symbol": "BBBY", **PROCESSED}]},
        symbols=("BBBY",), days=XNYS.sessions(FIRST, date(2022, 6, 14)),
    )  # fmt: skip
    assert rows(alpaca) == [[at("2022-06-15"), "BBBY", "delisting"]]


def test_a_distribution_in_kind_is_named_and_not_booked() -> None:
    alpaca, _ = asked({
        "spin_offs": [{
            "source_symbol": "META", "source_cusip": "1", "source_rate": 1, "new_symbol": "NEW", "new_cusip": "2",
            "new_rate": 0.25, "ex_date": "2022-06-10", "process_date": "2022-06-10",
        }]
    })  # fmt: skip
    assert rows(alpaca) == []
    assert any(
        note.startswith("META 2022-06-10: spin off, ") and note.endswith("not booked")
        for note in alpaca.coverage_notes()
    )


def test_more_actions_than_one_page_are_all_fetched() -> None:
    names = [f"A{number:04d}"[:5] for number in range(25)]
    days = [str(day) for day in DAYS[1:]]
    paid = [dividend(name, day, 0.5 + number / 100) for name in names for number, day in enumerate(days)]
    paid += [dividend(name, day, 2.0) for name in names for day in days]
    paid += [dividend(name, day, 3.0) for name in names for day in days]
    assert len(paid) > 1000
    alpaca, server = asked({"cash_dividends": paid}, symbols=names)
    found = alpaca.corporate_actions(FIRST, LAST)
    assert len(found) == len(names) * len(days)  # three dividends of one day are their sum
    assert found["dividend_usd"].sum() == pytest.approx(sum(row["rate"] for row in paid))
    assert sum("actions" in request.path for request in server.requests) == 2


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"forward_splits": [split("20", 1)]}, "new_rate: expected a number, found '20'"),
        ({"forward_splits": [split(0, 1)]}, "META 2022-06-06: a split of 0 for 1"),
        ({"name_changes": [rename("<b>", "META", "2022-06-09")]}, "'<b>' is not a symbol"),
    ],
    ids=["a rate as text", "a rate of zero", "markup as a ticker"],
)  # fmt: skip
def test_an_action_that_cannot_be_is_refused(actions: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(MalformedData, match=message):
        asked(actions)


def test_an_action_of_an_unknown_type_is_refused() -> None:
    class Newer(AlpacaServer):
        def _actions(self, request: Any) -> Any:
            return {"corporate_actions": {"tender_offers": []}, "next_page_token": request.query.get("none")}

    with Newer({"SPY": [alpaca_bar(day, 1.0) for day in DAYS]}) as server:
        alpaca = AlpacaSource(
            AlpacaSettings.model_validate({"symbols": ("SPY",), "first_session": FIRST, "url": server.url,
                                           "key_id": KEY_ID, "secret_key": SECRET_KEY}),
            XNYS, benchmark_symbol="SPY", last_session=LAST, vendor_delay=timedelta(minutes=15),
        )  # fmt: skip
        with pytest.raises(MalformedData, match="type 'tender_offers'"):
            alpaca.session_range()


def test_renames_that_never_end_are_refused() -> None:
    chain = [rename(f"T{number}", f"T{number + 1}", f"2022-06-{number + 1:02d}") for number in range(12)]
    with pytest.raises(MalformedData, match="without an end"):
        asked({"name_changes": chain}, symbols=("T12",))


def test_a_company_that_takes_a_ticker_over_later_is_no_past_of_its_first_owner() -> None:
    renames = [Rename("FB", "META", date(2022, 6, 9)), Rename("OTHER", "FB", date(2022, 6, 14))]
    history = earlier_and_later_tickers(["FB"], renames, as_of=date(2022, 6, 1))
    assert history.spells == {"FB": ((date.min, "FB"), (date(2022, 6, 9), "META"))}
