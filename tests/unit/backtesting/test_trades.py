from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.lots import ExitBy
from aegis.backtesting.trades import RoundTrips, open_lots_frame, round_trips, trades_frame
from aegis.errors import RiskError
from tests.unit.backtesting.hand_written import action, actions, fill, fills

SYMBOLS = ("AAA", "BBB")
TIMES = pd.DatetimeIndex(
    ["2024-01-02 21:00", "2024-01-03 21:00", "2024-01-04 21:00", "2024-01-05 21:00", "2024-01-08 21:00"], tz="UTC"
)
DAY = 100  # one step a session, on days 100, 101, ...


NAN = float("nan")
CASH_PART = 1.25


def _terms(kind: ActionKind, symbol: int, drawn: float) -> dict[str, float]:
    """Return the terms of a drawn event; a merger pays shares of the other symbol and some cash."""
    if kind == ActionKind.SHARE_MERGER:
        return {"ratio": drawn, "amount": CASH_PART, "acquirer": 1 - symbol}
    return {"ratio" if kind == ActionKind.SPLIT else "amount": drawn}


def trips(
    rows: np.ndarray, happened: np.ndarray | None = None, *, marks=None, closes=None, lot: float = 1.0
) -> RoundTrips:
    sessions = len(TIMES)
    return round_trips(
        rows,
        actions() if happened is None else happened,
        session_first_steps=np.arange(sessions + 1),
        session_days=DAY + np.arange(sessions),
        symbols=SYMBOLS,
        share_steps=np.full(len(SYMBOLS), lot),
        marks_usd=None if marks is None else np.array(marks, dtype=float),
        closes_usd=None if closes is None else np.array(closes, dtype=float),
    )


def trades(rows: np.ndarray, happened: np.ndarray | None = None, **options) -> pd.DataFrame:
    found = trips(rows, happened, **options)
    return trades_frame(found, rows, symbols=SYMBOLS, step_times_utc=TIMES)


def test_a_round_trip_carries_both_commissions_and_the_fees_of_the_sale() -> None:
    rows = fills(
        fill(1, 0, 100, 10.0, commission=1.0, order=7),
        fill(1, 3, -100, 12.0, commission=2.0, fees=0.5, order=9),
    )
    (trade,) = trades(rows).to_dict("records")
    assert trade == {
        "symbol": "BBB",
        "side": "long",
        "quantity_shares": 100.0,
        "entry_step": 0,
        "exit_step": 3,
        "entry_at_utc": TIMES[0],
        "exit_at_utc": TIMES[3],
        "entry_price_usd": 10.0,
        "exit_price_usd": 12.0,
        "gross_profit_usd": 200.0,
        "commission_usd": 3.0,
        "fees_usd": 0.5,
        "net_profit_usd": 196.5,
        "net_return": 0.1965,
        "bars_held": 3,
        "entry_order": 7,
        "exit_order": 9,
        "exit_by": "fill",
    }


def test_the_oldest_lot_is_sold_first_and_costs_follow_the_shares() -> None:
    # 60 sold: 40 of the first lot (all of its 4 USD), 20 of 80 of the second (a quarter of its 8). The sale's 6 USD are
    # shared 40 : 20.
    rows = fills(
        fill(0, 0, 40, 10.0, commission=4.0),
        fill(0, 1, 80, 11.0, commission=8.0),
        fill(0, 2, -60, 15.0, commission=6.0),
    )
    frame = trades(rows)
    assert frame["quantity_shares"].tolist() == [40.0, 20.0]
    assert frame["entry_price_usd"].tolist() == [10.0, 11.0]
    assert frame["gross_profit_usd"].tolist() == [200.0, 80.0]
    assert frame["commission_usd"].tolist() == [8.0, 4.0]
    left = open_lots_frame(
        trips(rows), rows, symbols=SYMBOLS, step_times_utc=TIMES, marks_usd=np.array([16.0, math.nan])
    )
    assert left["quantity_shares"].tolist() == [60.0]
    assert left["commission_usd"].tolist() == [6.0]
    assert left["unrealised_usd"].tolist() == [300.0]
    assert left["market_value_usd"].tolist() == [960.0]


def test_a_short_position_earns_when_the_price_falls() -> None:
    (trade,) = trades(fills(fill(0, 0, -50, 20.0), fill(0, 1, 50, 18.0))).to_dict("records")
    assert (trade["side"], trade["quantity_shares"], trade["gross_profit_usd"]) == ("short", 50.0, 100.0)
    assert trade["net_return"] == pytest.approx(0.1)


def test_a_fill_through_zero_closes_every_lot_and_opens_the_rest() -> None:
    # 30 + 70 long; 150 sold for 3 USD: 100 of them close (2 USD), 50 open short (1 USD).
    rows = fills(fill(0, 0, 30, 10.0), fill(0, 0, 70, 11.0), fill(0, 2, -150, 12.0, commission=3.0))
    found = trips(rows)
    assert found.closed["quantity"].tolist() == [30.0, 70.0]
    assert found.closed["commission"].tolist() == pytest.approx([0.6, 1.4])
    (lot,) = found.still_open
    assert (lot["quantity"], lot["price"], lot["entry_fill"]) == (-50.0, 12.0, 2)
    assert lot["commission"] == pytest.approx(1.0)
    assert found.positions_shares[:, 0].tolist() == [100.0, 100.0, -50.0, -50.0, -50.0]


def test_symbols_do_not_mix() -> None:
    found = trips(fills(fill(0, 0, 10, 1.0), fill(1, 0, -10, 2.0)))
    assert found.closed.size == 0
    assert found.still_open["symbol"].tolist() == [0, 1]
    assert found.still_open["quantity"].tolist() == [10.0, -10.0]


def test_a_split_multiplies_lots_and_divides_their_price() -> None:
    # 10 at 90 become 30 at 30 before the first bar of session 101; sold at 31: 30 USD.
    happened = actions(action(ActionKind.SPLIT, 0, 101, ratio=3.0))
    rows = fills(fill(0, 0, 10, 90.0), fill(0, 1, -30, 31.0))
    (trade,) = trades(rows, happened, marks=[[90.0, math.nan]] * 5).to_dict("records")
    assert (trade["quantity_shares"], trade["entry_price_usd"], trade["gross_profit_usd"]) == (30.0, 30.0, 30.0)
    assert trips(rows, happened).positions_shares[:, 0].tolist() == [10.0, 0.0, 0.0, 0.0, 0.0]


def test_a_fraction_after_a_split_is_paid_from_the_oldest_lot_at_the_last_mark() -> None:
    # 3 + 4 shares, 3 for 2: 4.5 + 6 = 10.5; the half share is paid at 60 / 1.5 = 40. Its entry cost 30 / 1.5 = 20.
    happened = actions(action(ActionKind.SPLIT, 0, 101, ratio=1.5))
    rows = fills(fill(0, 0, 3, 30.0, commission=0.9), fill(0, 0, 4, 45.0))
    found = trips(rows, happened, marks=[[60.0, math.nan]] * 5)
    (trade,) = trades_frame(found, rows, symbols=SYMBOLS, step_times_utc=TIMES).to_dict("records")
    assert (trade["quantity_shares"], trade["entry_price_usd"], trade["exit_price_usd"]) == (0.5, 20.0, 40.0)
    assert (trade["exit_by"], trade["exit_order"], trade["exit_step"]) == ("cash in lieu", -1, 1)
    assert trade["commission_usd"] == pytest.approx(0.1)
    assert found.still_open["quantity"].tolist() == [4.0, 6.0]
    assert found.positions_shares[:, 0].tolist() == [7.0, 10.0, 10.0, 10.0, 10.0]


def test_two_splits_before_one_session_divide_the_mark_twice() -> None:
    # 7 become 3.5, the half paid at 60 / 0.5 = 120; 3 become 1.5, the half paid at 240.
    happened = actions(action(ActionKind.SPLIT, 0, 101, ratio=0.5), action(ActionKind.SPLIT, 0, 101, ratio=0.5))
    rows = fills(fill(0, 0, 7, 50.0))
    frame = trades(rows, happened, marks=[[60.0, math.nan]] * 5)
    assert frame["quantity_shares"].tolist() == [0.5, 0.5]
    assert frame["exit_price_usd"].tolist() == [120.0, 240.0]
    assert frame["entry_price_usd"].tolist() == [100.0, 200.0]


def test_a_split_that_rounding_alone_keeps_from_a_whole_share_pays_nothing() -> None:
    happened = actions(action(ActionKind.SPLIT, 0, 101, ratio=1 / 49))
    rows = fills(fill(0, 0, 49, 2.0), fill(0, 2, -1, 98.0))
    found = trips(rows, happened, marks=[[2.0, math.nan]] * 5)
    assert found.closed["exit_by"].tolist() == [ExitBy.FILL]
    assert found.still_open.size == 0
    assert found.positions_shares[1:3, 0].tolist() == [1.0, 0.0]


def test_a_split_without_a_mark_for_its_fraction_is_refused() -> None:
    happened = actions(action(ActionKind.SPLIT, 0, 101, ratio=1.5))
    with pytest.raises(RiskError, match=r"AAA 1970-04-12: its split .*`closes_usd`"):
        trips(fills(fill(0, 0, 3, 30.0)), happened)


def test_a_cash_merger_pays_every_lot_before_the_session_and_a_delisting_after_it() -> None:
    happened = actions(action(ActionKind.CASH_MERGER, 0, 102, amount=25.0), action(ActionKind.DELISTING, 1, 102))
    rows = fills(fill(0, 0, 10, 20.0), fill(1, 0, -5, 8.0), fill(1, 2, -5, 9.0))
    frame = trades(rows, happened, marks=[[20.0, 8.0], [21.0, 8.0], [24.0, 7.0], [24.0, 7.0], [24.0, 7.0]])
    assert frame["exit_by"].tolist() == ["cash merger", "delisting", "delisting"]
    assert frame["exit_price_usd"].tolist() == [25.0, 7.0, 7.0]
    assert frame["gross_profit_usd"].tolist() == [50.0, 5.0, 10.0]
    assert frame["exit_step"].tolist() == [2, 2, 2]


def test_shares_of_a_merger_are_a_lot_of_the_acquirer_without_an_order() -> None:
    """Each AAA turns to 1 USD and 0.5 BBB at 8: 5 USD. 21 AAA make 10 BBB: 4 cover a short lot, 5 are sold at 9."""
    merger = action(ActionKind.SHARE_MERGER, 0, 102, ratio=0.5, amount=1.0, acquirer=1)
    rows = fills(fill(0, 0, 21, 4.0, order=3), fill(1, 1, -4, 7.0, order=4), fill(1, 3, -5, 9.0, order=5))
    closes = [[4.0, 7.0], [4.0, 7.0], [NAN, 8.0], [NAN, 9.0], [NAN, 9.0]]
    options = {"marks": [[4.0, 7.0], [4.0, 7.0], [4.0, 8.0], [4.0, 9.0], [4.0, 9.0]], "closes": closes}
    frame = trades(rows, actions(merger), **options)
    assert frame[["symbol", "exit_by", "quantity_shares", "entry_price_usd", "exit_price_usd"]].to_numpy().tolist() == [
        ["AAA", "share merger", 21.0, 4.0, 5.0],
        ["BBB", "share merger", 4.0, 7.0, 8.0],
        ["BBB", "fill", 5.0, 8.0, 9.0],
    ]
    assert frame["entry_order"].tolist() == [3, 4, -1]
    assert frame["exit_order"].tolist() == [-1, -1, 5]
    assert frame["entry_step"].tolist() == [0, 1, 2]
    found = trips(rows, actions(merger), **options)
    assert found.positions_shares[2:].tolist() == [[0.0, 6.0], [0.0, 1.0], [0.0, 1.0]]
    (lot,) = open_lots_frame(
        found, rows, symbols=SYMBOLS, step_times_utc=TIMES, marks_usd=np.array([4.0, 9.0])
    ).to_dict("records")
    assert (lot["entry_order"], lot["entry_step"], lot["entry_price_usd"], lot["quantity_shares"]) == (-1, 2, 8.0, 1.0)


def test_a_merger_without_a_close_of_its_acquirer_is_a_delisting() -> None:
    merger = action(ActionKind.SHARE_MERGER, 0, 102, ratio=0.5, amount=1.0, acquirer=1)
    options = {"marks": [[4.0, 7.0]] * 5, "closes": [[4.0, 7.0], [4.0, 7.0], [NAN, NAN], [NAN, 9.0], [NAN, 9.0]]}
    frame = trades(fills(fill(0, 0, 21, 4.0)), actions(merger), **options)
    assert frame[["exit_by", "exit_price_usd"]].to_numpy().tolist() == [["delisting", 4.0]]


def test_no_fills_make_no_trades() -> None:
    found = trips(fills(), actions(action(ActionKind.DELISTING, 1, 102)))
    frame = trades_frame(found, fills(), symbols=SYMBOLS, step_times_utc=TIMES)
    assert frame.empty
    assert open_lots_frame(found, fills(), symbols=SYMBOLS, step_times_utc=TIMES, marks_usd=np.zeros(2)).empty
    assert not found.positions_shares.any()


_fills = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 4),
        st.integers(-60, 60).filter(bool),
        st.integers(100, 9_999).map(lambda cents: cents / 100),
    ),
    max_size=30,
)
_happenings = st.lists(
    st.one_of(
        st.tuples(st.just(ActionKind.SPLIT), st.integers(0, 1), st.integers(0, 4), st.sampled_from([2.0, 1.5, 1 / 7])),
        st.tuples(st.just(ActionKind.CASH_MERGER), st.integers(0, 1), st.integers(0, 4), st.just(33.0)),
        st.tuples(st.just(ActionKind.DELISTING), st.integers(0, 1), st.integers(0, 4), st.just(0.0)),
        st.tuples(st.just(ActionKind.SHARE_MERGER), st.integers(0, 1), st.integers(0, 4), st.sampled_from([0.35, 2.0])),
    ),
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(drawn=_fills, happened=_happenings)
def test_realised_and_unrealised_profit_are_the_cash_that_came_in_plus_what_is_held(drawn, happened) -> None:
    """Book cash and shares with a plain account beside it, which knows nothing of lots."""
    drawn = sorted(drawn, key=lambda row: row[1])
    happened = sorted(happened, key=lambda row: row[2])
    marks = np.array([[50.0, 20.0], [52.0, 19.0], [49.0, 23.0], [30.0, 21.0], [31.0, 22.0]])
    rows = fills(*(fill(s, step, q, price, commission=0.01 * abs(q), fees=0.005) for s, step, q, price in drawn))
    ratio_or_amount = [_terms(kind, s, x) for kind, s, _, x in happened]
    events = actions(
        *(
            action(kind, s, DAY + session, **options)
            for (kind, s, session, _), options in zip(happened, ratio_or_amount, strict=True)
        )
    )
    found = trips(rows, events, marks=marks, closes=marks)

    cash, held, gone = 0.0, [0.0, 0.0], set()
    for session in range(5):
        known = list(marks[session - 1]) if session else [0.0, 0.0]
        of_session = [row for row in happened if row[2] == session]
        for kind, s, _, x in of_session:
            if kind == ActionKind.SPLIT:
                known[s] /= x
                exact = held[s] * x
                held[s] = math.copysign(math.floor(abs(exact) + 1e-9), exact)
                cash += (exact - held[s]) * known[s]
            elif kind == ActionKind.CASH_MERGER:
                cash, held[s] = cash + held[s] * x, 0.0
                gone.add(s)
        leaving = {row[1] for row in of_session if row[0] in (ActionKind.DELISTING, ActionKind.SHARE_MERGER)}
        for s, step, quantity, price in drawn:
            if step == session:
                cash -= quantity * price
                held[s] += quantity
        for kind, s, _, x in of_session:
            if kind == ActionKind.SHARE_MERGER and 1 - s not in gone | leaving:
                exact = held[s] * x
                whole = math.copysign(math.floor(abs(exact) + 1e-9), exact)
                cash += held[s] * CASH_PART + (exact - whole) * marks[session, 1 - s]
                held[s], held[1 - s] = 0.0, held[1 - s] + whole
        for s in leaving:
            cash, held[s] = cash + held[s] * marks[session, s], 0.0
        gone |= leaving
        assert found.positions_shares[session].tolist() == pytest.approx(held, abs=1e-9)
    worth = cash + held[0] * marks[4, 0] + held[1] * marks[4, 1]

    assert found.gross_profit_usd.sum() + found.unrealised_usd(marks[4]).sum() == pytest.approx(worth, abs=1e-6)
    costs = sum(found.closed[name].sum() + found.still_open[name].sum() for name in ("commission", "fees"))
    assert costs == pytest.approx(rows["commission"].sum() + rows["fees"].sum(), abs=1e-9)
