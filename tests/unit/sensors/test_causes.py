"""When a failure is news, worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from aegis.live_trading.alerts import Alert
from aegis_sensors.causes import Cleared, Failure, Sessions, Success, news

FRESH = "check_failed/market_data/daily_bars/bars_are_fresh"
POSITIVE = "check_failed/market_data/daily_bars/prices_are_positive"
FETCH = "run_failed/fetch_market_data"


def hour(number: int) -> datetime:
    return datetime(2014, 6, 5, number, tzinfo=UTC)


def failure(subject: str, what: str, at: int) -> Failure:
    return Failure(subject, what, "title", "body", hour(at))


def success(subject: str, at: int, first: str = "", last: str = "") -> Success:
    return Success(subject, Sessions(first, last or first) if first else None, hour(at))


def told(outcomes: list[Failure | Success], open_causes: frozenset[str] = frozenset()) -> list[str]:
    """Return ``+cause@hour`` for each alert and ``-cause@hour`` for each end of a cause."""
    return [
        f"{'+' if isinstance(item, Alert) else '-'}{item.cause_key}@{item.at_utc.hour}"
        for item in news(outcomes, open_causes)
    ]


def test_an_hourly_check_that_finds_the_same_gap_is_told_once() -> None:
    hourly = [failure(FRESH, "session 2014-06-04", at) for at in range(10, 16)]
    assert told(hourly) == [f"+{FRESH}/session 2014-06-04@10"]
    assert told(hourly, frozenset({f"{FRESH}/session 2014-06-04"})) == []


def test_another_gap_of_the_same_check_is_told() -> None:
    assert told([failure(FRESH, "session 2014-06-04", 10), failure(FRESH, "session 2014-06-05", 11)]) == [
        f"+{FRESH}/session 2014-06-04@10",
        f"+{FRESH}/session 2014-06-05@11",
    ]


def test_after_a_pass_the_same_cause_is_told_again() -> None:
    outcomes = [failure(FRESH, "session 2014-06-04", 10), success(FRESH, 11), failure(FRESH, "session 2014-06-04", 12)]
    assert told(outcomes) == [
        f"+{FRESH}/session 2014-06-04@10",
        f"-{FRESH}/session 2014-06-04@11",
        f"+{FRESH}/session 2014-06-04@12",
    ]


def test_a_pass_of_another_check_ends_nothing() -> None:
    longer_name = f"{FRESH}_enough"
    open_causes = frozenset({f"{longer_name}/session 2014-06-04"})
    assert told([success(FRESH, 11), success(POSITIVE, 11)], open_causes) == []


def test_a_pass_ends_what_failed_in_its_own_sessions_only() -> None:
    open_causes = frozenset(f"{POSITIVE}/{what}" for what in ("2014-06-04", "2014-06-05", "2014-06-02..2014-06-04"))
    assert told([success(POSITIVE, 12, "2014-06-05")], open_causes) == [f"-{POSITIVE}/2014-06-05@12"]
    assert told([success(POSITIVE, 12, "2014-06-03", "2014-06-04")], open_causes) == [f"-{POSITIVE}/2014-06-04@12"]
    assert told([success(POSITIVE, 12, "2014-06-01", "2014-06-04")], open_causes) == [
        f"-{POSITIVE}/2014-06-02..2014-06-04@12",
        f"-{POSITIVE}/2014-06-04@12",
    ]


def test_a_third_attempt_is_no_news_and_a_run_of_the_whole_chain_ends_it() -> None:
    attempts = [failure(FETCH, "2014-06-05", at) for at in (20, 21, 22)]
    assert told(attempts) == [f"+{FETCH}/2014-06-05@20"]
    assert told([*attempts, success("run_failed", 23, "2014-06-02", "2014-06-30")])[1:] == [f"-{FETCH}/2014-06-05@23"]


def test_an_alert_carries_the_words_and_the_instant_of_its_failure() -> None:
    found = news([Failure(FETCH, "2014-06-05", "Run failed", "why", hour(20), "warning")], ())
    assert found == [Alert(f"{FETCH}/2014-06-05", "Run failed", "why", "warning", hour(20))]
    assert news([success(FETCH, 21, "2014-06-05")], [f"{FETCH}/2014-06-05"]) == [
        Cleared(f"{FETCH}/2014-06-05", hour(21))
    ]


def test_one_session_is_named_by_itself_and_several_by_the_first_and_last() -> None:
    assert str(Sessions("2014-06-05", "2014-06-05")) == "2014-06-05"
    assert str(Sessions("2014-06-02", "2014-06-05")) == "2014-06-02..2014-06-05"
