from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import MalformedData
from aegis.market_data.adjustments import adjusted_closes, adjustment_factors, total_return_panel
from aegis.market_data.corporate_actions import normalise_actions

XNYS = trading_calendar("XNYS")
SESSIONS = XNYS.sessions(date(2014, 6, 2), date(2014, 6, 6))  # Monday to Friday
NEVER = datetime(2100, 1, 1, tzinfo=UTC)


def bars(closes: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "session": pd.Timestamp(day),
                "symbol": symbol,
                "close_raw_usd": close,
                "known_at_utc": pd.Timestamp(XNYS.close_utc(day) + timedelta(minutes=15)),
            }
            for symbol, values in closes.items()
            for day, close in zip(SESSIONS, values, strict=True)
            if not np.isnan(close)
        ]
    )


def actions(*rows: dict[str, object]) -> pd.DataFrame:
    columns = ["session", "symbol", "action", "split_ratio", "dividend_usd", "known_at_utc"]
    return normalise_actions(pd.DataFrame(list(rows), columns=columns), XNYS, source="files")


def split(day: date, ratio: float, known_at: datetime | None = None) -> dict[str, object]:
    return {"session": day, "symbol": "AAA", "action": "split", "split_ratio": ratio, "known_at_utc": known_at}


def dividend(day: date, usd: float) -> dict[str, object]:
    return {"session": day, "symbol": "AAA", "action": "dividend", "dividend_usd": usd}


# 100 -> 102 -> [2:1 split and 1.02 USD per old share] 51 -> 51 -> 52
CLOSES = [100.0, 102.0, 51.0, 51.0, 52.0]
BOTH = actions(split(SESSIONS[2], 2.0), dividend(SESSIONS[2], 1.02))


def test_total_returns_follow_the_crsp_formula_through_a_split_and_a_dividend() -> None:
    found = total_return_panel(bars({"AAA": CLOSES}), BOTH, ["AAA"], SESSIONS, as_known_at=NEVER)
    # (51 x 2 + 1.02) / 102 - 1 = 1 %
    np.testing.assert_allclose(found[:, 0], [np.nan, 0.02, 0.01, 0.0, 1 / 51], rtol=0, atol=1e-15)


def test_factors_are_in_terms_of_the_share_held_before_the_ex_session() -> None:
    found = adjustment_factors(bars({"AAA": CLOSES}), BOTH, SESSIONS[0], SESSIONS[-1])
    assert found[["session", "split_factor"]].to_numpy().tolist() == [[pd.Timestamp(SESSIONS[2]), 0.5]]
    assert found.loc[0, "dividend_factor"] == pytest.approx(0.99, abs=1e-15)  # 1 - 1.02 / 102


def test_a_factor_is_known_when_both_its_action_and_the_close_before_it_are() -> None:
    early = actions(dividend(SESSIONS[2], 1.02) | {"known_at_utc": datetime(2014, 5, 1, tzinfo=UTC)})
    found = adjustment_factors(bars({"AAA": CLOSES}), early, SESSIONS[0], SESSIONS[-1])
    assert found.loc[0, "known_at_utc"] == datetime(2014, 6, 3, 20, 15, tzinfo=UTC)


def test_adjusted_closes_end_at_the_raw_close() -> None:
    found = adjusted_closes(bars({"AAA": CLOSES}), BOTH, ["AAA"], SESSIONS, as_known_at=NEVER)
    np.testing.assert_allclose(found[:, 0], [49.5, 50.49, 51.0, 51.0, 52.0], rtol=1e-15)


def test_an_action_known_after_t_changes_nothing_at_t() -> None:
    t = XNYS.close_utc(SESSIONS[3])
    later = actions(
        split(SESSIONS[2], 2.0),
        dividend(SESSIONS[2], 1.02),
        split(SESSIONS[4], 10.0, t + timedelta(seconds=1)),
        {"session": SESSIONS[1], "symbol": "AAA", "action": "dividend", "dividend_usd": 9.0,
         "known_at_utc": t + timedelta(days=1)},
    )  # fmt: skip
    history, past = bars({"AAA": CLOSES}), SESSIONS[:4]
    for compute in (total_return_panel, adjusted_closes):
        before = compute(history, BOTH, ["AAA"], past, as_known_at=t)
        assert compute(history, later, ["AAA"], past, as_known_at=t).tobytes() == before.tobytes()
        assert compute(history, later, ["AAA"], past, as_known_at=NEVER).tobytes() != before.tobytes()


def test_one_instant_for_each_session_gives_each_return_what_was_known_then() -> None:
    known_late = actions(split(SESSIONS[2], 2.0, XNYS.close_utc(SESSIONS[3])))
    history = bars({"AAA": CLOSES})
    found = total_return_panel(history, known_late, ["AAA"], SESSIONS, as_known_at=XNYS.closes_utc(SESSIONS))
    assert found[2, 0] == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="2 instants for 5 sessions"):
        total_return_panel(history, known_late, ["AAA"], SESSIONS, as_known_at=XNYS.closes_utc(SESSIONS[:2]))


def test_a_missing_close_makes_both_neighbouring_returns_nan() -> None:
    found = total_return_panel(
        bars({"AAA": [100, 101, np.nan, 103, 104], "BBB": [10.0, 11, 12, 13, 14]}),
        actions(),
        ["BBB", "AAA"],
        SESSIONS,
        as_known_at=NEVER,
    )
    np.testing.assert_array_equal(np.isnan(found[:, 1]), [True, False, True, True, False])
    assert found[1, 0] == pytest.approx(0.1)


def test_the_close_before_the_ex_session_reaches_back_over_a_missing_bar() -> None:
    found = adjustment_factors(
        bars({"AAA": [100, np.nan, 51, 51, 52]}), actions(dividend(SESSIONS[2], 1.0)), SESSIONS[2], SESSIONS[2]
    )
    assert found["dividend_factor"].tolist() == pytest.approx([0.99])


def test_a_dividend_without_an_earlier_close_scales_nothing() -> None:
    first_day = actions(dividend(SESSIONS[0], 1.0))
    assert adjustment_factors(bars({"AAA": CLOSES}), first_day, SESSIONS[0], SESSIONS[-1]).empty


def test_a_dividend_as_large_as_the_price_is_refused() -> None:
    with pytest.raises(MalformedData, match=r"AAA 2014-06-04: dividend 102.0 is not below the previous close 102.0"):
        adjustment_factors(bars({"AAA": CLOSES}), actions(dividend(SESSIONS[2], 102.0)), SESSIONS[0], SESSIONS[-1])


def test_factors_are_the_same_for_any_division_of_the_range() -> None:
    given = actions(dividend(SESSIONS[1], 0.7), split(SESSIONS[2], 2.0), dividend(SESSIONS[4], 0.3))
    history = bars({"AAA": CLOSES})
    whole = adjustment_factors(history, given, SESSIONS[0], SESSIONS[-1])
    parts = [adjustment_factors(history, given, day, day) for day in SESSIONS]
    pd.testing.assert_frame_equal(
        pd.concat([part for part in parts if len(part)], ignore_index=True), whole, check_exact=True
    )
