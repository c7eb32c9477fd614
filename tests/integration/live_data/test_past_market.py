"""What past sessions of a lake tell the planner, against numbers worked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config_eval import ExecutionEval
from aegis.execution.algorithms.parent_state import NoteKind, ParentState
from aegis.execution.algorithms.planning import PastMarket, plan
from aegis.execution.order_ids import client_order_id
from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.live_data.past_market import last_closes, past_market

XNYS = trading_calendar("XNYS")
TODAY = date(2014, 12, 8)
DAYS = XNYS.sessions(date(2014, 10, 1), TODAY)
SPLIT_DAY = date(2014, 12, 3)
PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")


def write(lake: Lake, table: tables.TableSchema, rows: pd.DataFrame) -> None:
    frame = table.conform(rows)
    lake.write([Replacement(table, frame, DAYS[0], DAYS[-1])], CommitMessage("trial", "", "run", "1"))


def minutes_of(day: date, first: float, last: float) -> pd.DataFrame:
    """Shares in the first and in the last minute of a session; none between."""
    ends = [XNYS.open_utc(day) + timedelta(minutes=1), XNYS.close_utc(day)]
    rows = pd.DataFrame({"session": day, "symbol": "ABC", "closes_at_utc": ends, "volume_shares": [first, last]})
    return rows.assign(**dict.fromkeys(PRICES, 10.0), source="files", known_at_utc=pd.Series(ends) + timedelta(hours=1))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """ABC until and on `TODAY`: 1000 shares a day before a split of two for one, 2400 after it; closes 10, 11, 10 …"""
    with connect(LakeLocation(tmp_path_factory.mktemp("lake"))) as connection:
        held = Lake(connection)
        held.create_tables([tables.DAILY_BARS, tables.MINUTE_BARS, tables.CORPORATE_ACTIONS])
        is_after = np.array([day >= SPLIT_DAY for day in DAYS])
        closes = np.where(np.arange(len(DAYS)) % 2, 11.0, 10.0) / np.where(is_after, 2.0, 1.0)
        daily = pd.DataFrame({"session": DAYS, "symbol": "ABC", "ticker": "ABC", "source": "files"})
        daily = daily.assign(**dict.fromkeys(PRICES, closes), volume_shares=np.where(is_after, 2400.0, 1000.0))
        write(held, tables.DAILY_BARS, daily.assign(known_at_utc=[XNYS.close_utc(day) for day in DAYS]))
        late = minutes_of(DAYS[-2], 1.0, 9e6).assign(known_at_utc=XNYS.open_utc(TODAY) + timedelta(minutes=1))
        old = pd.concat([minutes_of(DAYS[-3], 1.0, 1.0), late]).assign(symbol="OLD")
        write(held, tables.MINUTE_BARS, pd.concat([*(minutes_of(day, 300.0, 100.0) for day in DAYS[-7:]), old]))
        split = pd.DataFrame(
            {
                "session": [SPLIT_DAY], "symbol": ["ABC"], "action": ["split"], "split_ratio": [2.0],
                "dividend_usd": [0.0], "pay_session": [pd.NaT], "new_ticker": [None], "source": ["files"],
                "known_at_utc": [XNYS.open_utc(SPLIT_DAY)],
            }
        )  # fmt: skip
        write(held, tables.CORPORATE_ACTIONS, split)
        yield held


def test_volumes_are_those_of_past_sessions_in_their_own_hours(lake: Lake) -> None:
    past = past_market(lake, "ABC", TODAY, calendar=XNYS)
    # Seven sessions have minutes; the last is today's, which is not read. The fourth-last is a half day.
    assert [day.session for day in past.volumes] == DAYS[-7:-1]
    assert sorted({len(day.shares_by_minute) for day in past.volumes}) == [210, 390]
    assert all((day.shares_by_minute[0], day.shares_by_minute[-1]) == (300.0, 100.0) for day in past.volumes)
    assert past.full_session_seconds == 23_400.0


def test_the_expected_volume_is_the_median_in_the_units_of_today(lake: Lake) -> None:
    # Of 21 sessions before today 18 are before the split and count 2000 shares each.
    assert past_market(lake, "ABC", TODAY, calendar=XNYS).daily_volume_shares == 2000.0
    assert past_market(lake, "ABC", SPLIT_DAY, calendar=XNYS).daily_volume_shares == 2000.0
    assert past_market(lake, "ABC", date(2014, 12, 2), calendar=XNYS).daily_volume_shares == 1000.0


def test_impact_is_that_of_the_papers_rules_with_the_volatility_of_total_returns(lake: Lake) -> None:
    found = past_market(lake, "ABC", TODAY, calendar=XNYS, spread_fraction=0.001).impact
    # The split is no return: the closes go from 10 to 11 and back, in its units, so 21 returns alternate.
    last = 10.0 if len(DAYS) % 2 == 0 else 11.0
    ups = [0.1 if (number % 2) else -1 / 11 for number in range(len(DAYS) - 22, len(DAYS) - 1)]
    price = last / 2.0
    assert found is not None
    assert found.sigma == pytest.approx(price * np.std(ups, ddof=1), rel=1e-12)
    assert found.epsilon == pytest.approx(price * 0.001 / 2)
    assert found.eta == pytest.approx(price * 0.001 / 20.0), "a spread for a hundredth of 2000 shares a day"
    assert found.gamma == pytest.approx(price * 0.001 / 200.0), "a spread for a tenth of them"


def test_a_symbol_of_which_nothing_is_known_has_no_past(lake: Lake) -> None:
    past = past_market(lake, "DEF", TODAY, calendar=XNYS, spread_fraction=0.001)
    assert past == PastMarket(full_session_seconds=23_400.0)


def test_rows_that_were_known_later_are_not_read(lake: Lake) -> None:
    # A correction of OLD's minutes came during today's session.
    assert [day.session for day in past_market(lake, "OLD", TODAY, calendar=XNYS).volumes] == [DAYS[-3]]


@pytest.mark.parametrize(("fewest", "is_learned"), [(5, True), (6, False)])
def test_the_planner_says_when_past_sessions_are_too_few(lake: Lake, order_of, fewest: int, is_learned: bool) -> None:
    decision = f"simulated/main/{DAYS[-2]}/rebalance/1"
    order = order_of(
        client_order_id=client_order_id("simulated", decision, symbol="ABC"),
        session=DAYS[-2],
        execution_session=TODAY,
        algorithm="vwap",
    )
    planned = plan(
        ParentState(order=order),
        settings=ExecutionEval(volume_curve_min_sessions=fewest),
        calendar=XNYS,
        past=past_market(lake, "ABC", TODAY, calendar=XNYS),
        released_at_utc=XNYS.open_utc(TODAY),
    )
    kinds = [note.kind for note in planned.state.notes]
    assert (NoteKind.STAND_IN_CURVE not in kinds) is is_learned


def test_the_last_close_is_that_of_the_session_before_in_its_own_shares(lake: Lake) -> None:
    # The day before the split closed at 10 or 11; the split's own bars, and whatever came later, are not read.
    before = XNYS.previous(SPLIT_DAY)
    close = 11.0 if DAYS.index(before) % 2 else 10.0
    assert last_closes(lake, ["ABC", "NONE"], SPLIT_DAY, calendar=XNYS) == {"ABC": close}
    assert last_closes(lake, ["ABC"], XNYS.next(SPLIT_DAY), calendar=XNYS) == {"ABC": (21.0 - close) / 2.0}
    assert last_closes(lake, ["ABC"], DAYS[0], calendar=XNYS) == {}
