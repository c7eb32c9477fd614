import re
import subprocess
import sys
from pathlib import Path

import pytest

from aegis.config_quality import QualitySettings
from aegis.market_data.expectations import CHECKS

BY_NAME = {check.name: check for check in CHECKS}
FOUR_FAULTS = {
    "negative price": "prices_are_positive",
    "duplicate row": "primary_key_is_unique",
    "high below low": "high_low_bracket_open_close",
    "missing bar": "bars_cover_every_listed_symbol",
}


def test_names_are_unique_and_can_be_dagster_check_names():
    assert len(BY_NAME) == len(CHECKS)
    assert all(name.isidentifier() and name == name.lower() for name in BY_NAME)


@pytest.mark.parametrize("fault", FOUR_FAULTS)
def test_the_four_faults_always_block(fault):
    check = BY_NAME[FOUR_FAULTS[fault]]
    assert check.on_failure == "block"
    assert check.is_blocking


def test_only_the_checks_that_true_markets_can_break_do_not_block():
    warnings = {check.name for check in CHECKS if not check.is_blocking}
    assert warnings == {
        "jumps_are_explained_by_actions",
        "dividends_are_a_small_share_of_the_close",
        "actions_are_known_when_they_are_booked",
        "closes_are_not_stale",
        "ranges_and_volumes_agree_across_sources",
        "moves_are_within_robust_volatility",
        "volume_is_near_its_usual",
        "prices_move_only_with_volume",
        "universe_keeps_its_size",
        "texts_have_no_blanks_around_them",
        "highs_and_lows_reach_the_body",
    }


def test_bounds_come_from_the_settings():
    settings = QualitySettings(unexplained_jump=0.3, stale_repeat_sessions=7)
    jump = BY_NAME["jumps_are_explained_by_actions"].expectations(settings)[0].terms
    stale = BY_NAME["closes_are_not_stale"].expectations(settings)[0].terms
    assert (jump["min_value"], jump["max_value"], stale["max_value"]) == (-0.3, 0.3, 6)


def test_no_two_checks_share_an_expectation():
    settings = QualitySettings()
    seen = [
        (check.evidence, each.kind, repr(sorted(each.terms.items())))
        for check in CHECKS
        for each in check.expectations(settings)
    ]
    assert len(seen) == len(set(seen))


def test_names_can_be_read_without_importing_great_expectations():
    program = (
        "import sys; import aegis.market_data.expectations, aegis.market_data.quality_gate; "
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_documented_rule_table_is_the_one_in_force():
    page = Path(__file__).parents[3] / "docs" / "data_quality.md"
    documented = re.findall(r"^\| `(\w+)` \|.*\| (\w+)[^|]* \|$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert documented == [(check.name, check.on_failure) for check in CHECKS]
