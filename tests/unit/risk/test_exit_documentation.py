"""The settings of the exit door: their bounds, and that docs/risk.md tells each rule with its settings and defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from aegis.config_eval import LiveRiskLimits
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_rules import REDUCING_PASS, RULES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "risk.md"


def _rows() -> dict[str, list[str]]:
    text = (
        PAGE.read_text(encoding="utf-8").partition("## At the exit door")[2].partition("### What it has to be told")[0]
    )
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "| `" in line]
    return {row[0].strip("`"): row for row in cells}


def test_every_rule_is_in_the_table_in_its_order_with_what_happens() -> None:
    rows = _rows()
    assert tuple(rows) == RULES
    assert tuple(rule for rule, row in rows.items() if "only reducing orders" in row[-1]) == REDUCING_PASS


def test_every_setting_is_in_the_table_with_its_default() -> None:
    told: dict[str, float] = {}
    for row in _rows().values():
        names = re.findall(r"`(\w+)`", row[1]) if len(row) == 4 else []
        values = [float(value.replace(",", "")) for value in re.findall(r"[\d,.]*\d", row[2])] if names else []
        told.update(zip(names, values, strict=True))
    assert told == {name: float(field.default) for name, field in LiveRiskLimits.model_fields.items()}


@pytest.mark.parametrize("name", sorted(LiveRiskLimits.model_fields))
def test_no_setting_takes_what_would_limit_nothing(name: str) -> None:
    for wrong in (-1, "inf", "nan", 1e13):
        with pytest.raises(ValidationError, match=name):
            LiveRiskLimits.model_validate({name: wrong})


def test_the_loosest_settings_are_limits() -> None:
    assert ExitLimits.from_settings(LiveRiskLimits(max_gross_exposure=4, open_auction_cutoff_seconds=0))
