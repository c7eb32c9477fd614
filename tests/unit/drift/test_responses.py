"""What drift leads to, as a file says it: for which sessions, until which release, and never in doubt."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from aegis.config_drift import DriftSettings
from aegis.drift.responses import DriftLimits, DriftResponse, DriftResponses, ResponseHistory, due_responses
from aegis.errors import DriftError

AT = datetime(2020, 6, 11, 21, tzinfo=UTC)
WEDNESDAY, THURSDAY, FRIDAY, MONDAY = date(2020, 6, 10), date(2020, 6, 11), date(2020, 6, 12), date(2020, 6, 15)


TOO_LARGE = json.dumps(
    {
        "entry": "engaged", "family": "data", "cause": "x", "action": "stop", "exposure_scale": 2.0,
        "measured_session": "2020-06-10", "at_utc": "2020-06-11T21:00:00+00:00",
    }
)  # fmt: skip


def response(family="performance", action="shrink", scale=0.5, measured=WEDNESDAY):
    return DriftResponse(
        family=family, cause=f"{family} fell", action=action, exposure_scale=scale, measured_session=measured, at_utc=AT
    )


@pytest.fixture
def file(tmp_path):
    return DriftResponses(tmp_path / "drift" / "simulated.jsonl")


def test_an_account_without_a_file_is_not_limited(file) -> None:
    assert file.history() == ResponseHistory()
    assert file.history().limits(THURSDAY) == DriftLimits(exposure_scale=1.0, stopped="")


def test_a_response_holds_after_the_session_that_was_measured_and_until_its_release(file) -> None:
    file.engage(response())
    file.engage(response("slippage", "stop", 1.0, THURSDAY))
    told = file.history()
    assert told.limits(WEDNESDAY) == DriftLimits()
    assert told.limits(THURSDAY) == DriftLimits(exposure_scale=0.5)
    assert told.limits(FRIDAY) == DriftLimits(exposure_scale=0.5, stopped="slippage fell")
    assert file.release(from_session=MONDAY, actor="ann", reason="looked into it", at_utc=AT) == 2
    after = file.history()
    assert after.standing == ()
    assert after.limits(MONDAY) == DriftLimits()
    for day in (WEDNESDAY, THURSDAY, FRIDAY):
        assert after.limits(day) == told.limits(day), "a session decided again is decided under what held for it"
    assert [(r.released_by, r.release_reason) for r in after.responses] == [("ann", "looked into it")] * 2


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"entry": "paused"}',
        '{"entry": "engaged", "family": "data"}',
        TOO_LARGE,
    ],
)
def test_a_line_that_cannot_be_understood_lets_nothing_be_decided(file, line) -> None:
    file.engage(response())
    with file.path.open("a") as opened:
        opened.write(line + "\n")
    with pytest.raises(DriftError, match=r"cannot be read .* nothing is decided until the file is put right"):
        file.history()


def test_a_release_needs_something_that_stands_a_name_and_a_reason(file) -> None:
    with pytest.raises(DriftError, match="there is nothing to release"):
        file.release(from_session=MONDAY, actor="ann", reason="x", at_utc=AT)
    file.engage(response())
    with pytest.raises(DriftError, match="a release needs a name and a reason"):
        file.release(from_session=MONDAY, actor="ann", reason=" ", at_utc=AT)
    assert len(file.history().standing) == 1


def due(alarms, history=ResponseHistory(), rested_since=date(2020, 3, 11), **actions):  # noqa: B008 - frozen
    families = dict.fromkeys(("features", "performance", "slippage"), "alert") | actions
    found = due_responses(
        alarms, history, actions=families, shrink_exposure=0.4, measured=dict.fromkeys(families, WEDNESDAY),
        rested_since=rested_since, at_utc=AT,
    )  # fmt: skip
    return [(r.family, r.action, r.exposure_scale, r.cause) for r in found]


def test_each_family_responds_once_and_as_its_setting_says() -> None:
    alarms = [("features", "momentum fell"), ("features", "trend fell"), ("performance", "returns fell")]
    assert due(alarms) == []
    assert due(alarms, features="shrink", performance="stop") == [
        ("features", "shrink", 0.4, "momentum fell, and 1 more of features"),
        ("performance", "stop", 1.0, "returns fell"),
    ]
    assert due(alarms, ResponseHistory((response(),)), performance="stop") == [], "one stands already"


def test_a_family_rests_after_a_release() -> None:
    released = DriftResponse(
        **{**{n: getattr(response(), n) for n in DriftResponse.__slots__}, "released_from": FRIDAY}
    )
    history, alarms = ResponseHistory((released,)), [("performance", "returns fell")]
    assert due(alarms, history, rested_since=THURSDAY, performance="stop") == []
    assert len(due(alarms, history, rested_since=FRIDAY, performance="stop")) == 1


def test_retuning_is_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match="nothing tunes parameters yet"):
        DriftSettings(performance={"action": "re-tune"})
    assert DriftSettings(performance={"action": "stop"}).family("performance").action == "stop"
