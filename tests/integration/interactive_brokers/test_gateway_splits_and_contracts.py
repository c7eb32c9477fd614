"""Which stock a symbol is, and prices put back to as-traded."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from tests.integration.interactive_brokers.small_market import (
    AAPL,
    CONTRACTS,
    DAYS,
    FIRST,
    HEADING,
    HISTORY,
    LAST,
    rising,
    source,
)
from tests.integration.vendors.transport_faults import WRONG_SYMBOLS
from tests.integration.vendors.tws.faults import (
    Altered,
)
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import Bar, HistoryDesk
from tests.integration.vendors.tws.wire import Contract


def test_a_split_is_taken_out_of_the_prices_before_it(gateway: TwsGateway, desk: HistoryDesk, actions: Path) -> None:
    actions.write_text(
        HEADING + "AAPL,2024-06-10,split,4,,\nAAPL,2024-06-12,dividend,,0.24,2024-06-20\nXYZ,2024-06-10,split,2,,\n"
    )
    desk.bars[AAPL.con_id] = [
        Bar(day, 73.46, 75.15, 73.46, 75.09, 400 if day < date(2024, 6, 10) else 100) for day in DAYS
    ]
    vendor = source(gateway, actions)
    bars = vendor.bars(FIRST, LAST).set_index(["symbol", "session"]).sort_index()
    before, after = bars.loc[("AAPL", "2024-06-07")], bars.loc[("AAPL", "2024-06-10")]
    assert (before["open_raw_usd"], before["high_raw_usd"], before["close_raw_usd"]) == (293.84, 300.6, 300.36)
    assert (after["close_raw_usd"], before["volume_shares"], after["volume_shares"]) == (75.09, 100.0, 100.0)
    booked = vendor.corporate_actions(FIRST, LAST)
    assert booked[["symbol", "action", "split_ratio", "dividend_usd"]].to_numpy().tolist() == [
        ["AAPL", "split", 4.0, 0.0], ["AAPL", "dividend", 1.0, 0.24],
    ]  # fmt: skip
    assert (
        "AAPL: prices up to 2024-06-07 were adjusted by the vendor; put back with the stated splits they are known "
        "within 0.02 USD" in vendor.coverage_notes()
    )


def test_a_split_after_the_last_session_is_taken_out_and_not_told(gateway: TwsGateway, actions: Path) -> None:
    actions.write_text(HEADING + "AAPL,2024-06-17,split,10,,\n")
    vendor = source(gateway, actions)
    bars = vendor.bars(FIRST, LAST)
    assert bars.loc[bars["symbol"] == "AAPL", "close_raw_usd"].tolist() == [1000.0 + 10 * n for n in range(10)]
    assert vendor.corporate_actions(FIRST, date(2024, 12, 31)).empty


def test_a_split_that_the_gateway_has_not_met_yet_changes_nothing(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path
) -> None:
    actions.write_text(HEADING + "AAPL,2024-06-17,split,10,,\n")
    desk.now = datetime(2024, 6, 17, 3, 59, tzinfo=UTC)  # still Sunday in New York
    bars = source(gateway, actions).bars(FIRST, LAST)
    assert bars.loc[bars["symbol"] == "AAPL", "close_raw_usd"].iloc[0] == 100.0


def test_a_reverse_split_divides(gateway: TwsGateway, actions: Path) -> None:
    actions.write_text(HEADING + "AAPL,2024-06-05,split,0.1,,\nAAPL,2024-06-10,split,2,,\n")
    bars = source(gateway, actions).bars(FIRST, LAST)
    apple = bars[bars["symbol"] == "AAPL"]
    assert apple["close_raw_usd"].round(6).tolist()[:6] == [20.0, 20.2, 204.0, 206.0, 208.0, 105.0]
    assert apple["volume_shares"].tolist()[:6] == [5e6, 5e6, 5e5, 5e5, 5e5, 1e6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"actions_file is not set.*adjusted for splits that it does not state"),
        ("", "no rows|cannot be read"),
        (HEADING + "AAPL,2024-06-10,delisting,,,\n", "'delisting' cannot be used here"),
        (HEADING + "AAPL,2024-06-10,split,0,,\n", "split ratio 0"),
        (HEADING + "AAPL,soon,split,4,,\n", "soon"),
        ("symbol,ex_date\nAAPL,2024-06-10\n", "no column 'action'"),
    ],
    ids=["no file", "an empty file", "a delisting", "a ratio of nothing", "no day", "a column missing"],
)
def test_without_readable_splits_nothing_is_asked(
    gateway: TwsGateway, actions: Path, text: str | None, message: str
) -> None:
    actions.write_text(text or "")
    with pytest.raises((ConfigurationError, MalformedData), match=message):
        source(gateway, None if text is None else actions).bars(FIRST, LAST)
    assert gateway.connections == 0


def test_volume_in_lots_is_put_into_shares(gateway: TwsGateway, actions: Path) -> None:
    assert source(gateway, actions, volume_unit_shares=100).bars(FIRST, LAST)["volume_shares"].iloc[0] == 1e8


def test_a_share_class_is_asked_for_as_the_gateway_writes_it(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path
) -> None:
    desk.contracts.append(Contract(72063691, "BRK B", "NYSE"))
    desk.bars[72063691] = rising(400)
    bars = source(gateway, actions, symbols=("BRK.B",)).bars(FIRST, LAST)
    assert set(bars["symbol"]) == {"BRK.B", "SPY"}


def test_an_unknown_symbol_is_refused_by_name(gateway: TwsGateway, actions: Path) -> None:
    with pytest.raises(SourceRefused, match=r"XYZ, ZZZ: error 200: No security.*market_data\.interactive_brokers\.sym"):
        source(gateway, actions, symbols=("AAPL", "XYZ", "ZZZ")).bars(FIRST, LAST)
    assert gateway.received(HISTORY) == []


def test_a_symbol_of_two_stocks_is_refused_until_its_exchange_is_said(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path
) -> None:
    desk.contracts.append(Contract(1, "MSFT", "PINK"))
    desk.bars[1] = rising(1)
    with pytest.raises(SourceRefused, match=r"MSFT: stands for 2 stocks, listed at NASDAQ, PINK; set .*primary_exch"):
        source(gateway, actions).bars(FIRST, LAST)
    bars = source(gateway, actions, primary_exchanges={"MSFT": "NASDAQ"}).bars(FIRST, LAST)
    assert bars.loc[bars["symbol"] == "MSFT", "close_raw_usd"].iloc[0] == 200.0


def _with_contract(at: int, text: str) -> Altered:
    """Return a fault that changes one field of the description of a stock."""
    return Altered(lambda answer: [(*answer[0][:at], text, *answer[0][at + 1 :]), *answer[1:]])


@pytest.mark.parametrize(("at", "text"), [(2, "AAPB"), (3, "OPT"), (8, "EUR")], ids=["symbol", "kind", "currency"])
def test_another_contract_than_asked_is_refused(gateway: TwsGateway, actions: Path, at: int, text: str) -> None:
    gateway.always(CONTRACTS, _with_contract(at, text))
    with pytest.raises(MalformedData, match=rf"AAPL: .*{text}.*expected a stock of that symbol in USD"):
        source(gateway, actions).bars(FIRST, LAST)


def test_an_end_without_a_contract_is_no_answer(gateway: TwsGateway, actions: Path) -> None:
    gateway.always(CONTRACTS, Altered(lambda answer: answer[1:]))
    with pytest.raises(SourceUnavailable, match="AAPL: Interactive Brokers gave no contract and no error"):
        source(gateway, actions).bars(FIRST, LAST)


@pytest.mark.parametrize("symbol", WRONG_SYMBOLS.values(), ids=WRONG_SYMBOLS)
def test_a_wrong_symbol_is_refused_before_anything_is_asked(gateway: TwsGateway, actions: Path, symbol: str) -> None:
    with pytest.raises((ConfigurationError, MalformedData)) as refusal:
        source(gateway, actions, symbols=("AAPL", symbol)).bars(FIRST, LAST)
    assert gateway.connections == 0
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400
