from __future__ import annotations

import pytest

from aegis.config import PortfolioSettings, UniverseSettings
from aegis.portfolio.capacity import empty_universe_remark, idle_money_remark, investable_share

SETTINGS = PortfolioSettings(max_position_weight=0.05, max_gross_exposure=1.0, neutral_exposure=0.95)


@pytest.mark.parametrize(("members", "share"), [(0, 0.0), (8, 0.4), (13, 0.65), (20, 1.0), (500, 1.0)])
def test_names_times_cap_is_what_can_be_invested(members: int, share: float) -> None:
    assert investable_share(members, SETTINGS) == pytest.approx(share)


def test_few_names_leave_money_idle_and_both_settings_are_named() -> None:
    remark = idle_money_remark(8, SETTINGS)
    assert remark is not None
    assert remark.startswith(
        "At most 40% of the money can be invested: the universe has 8 members and each may be 5.0% of equity."
    )
    assert "portfolio.max_position_weight" in remark
    assert "risk.max_position_weight" in remark


@pytest.mark.parametrize("members", [0, 19, 30])
def test_nothing_is_said_when_the_neutral_book_fits_or_there_is_no_name(members: int) -> None:
    # 19 x 5 % is 95 %, the neutral exposure
    assert idle_money_remark(members, SETTINGS) is None


def test_a_history_that_is_too_short_for_any_member_says_so():
    settings = UniverseSettings(min_history_sessions=252)
    remark = empty_universe_remark(0, 64, settings)
    assert remark.startswith("Nothing can be traded yet: a member of the universe needs bars in 252 sessions")
    assert "this history has 64" in remark
    assert empty_universe_remark(1, 64, settings) is None
    assert empty_universe_remark(0, 252, settings) is None
