from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from aegis.reporting import theme
from aegis.reporting.charts import draw_rolling_volatility, percent_tick
from aegis.reporting.report import PerformanceReport


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (0.025, "2.5%"),
        (0.05, "5%"),
        (-0.0025, "-0.25%"),
        (0.1 + 0.2, "30%"),
        (-1e-12, "0%"),
        (1.5, "150%"),
    ],
)
def test_a_tick_says_the_share_that_it_stands_at(value: float, text: str) -> None:
    assert percent_tick(value) == text


@pytest.mark.parametrize("highest", [0.004, 0.0133, 0.18, 0.41])
def test_ticks_of_the_trailing_volatility_are_as_far_apart_as_their_labels(
    report: PerformanceReport, highest: float
) -> None:
    days = pd.date_range("2024-01-01", periods=3)
    rows = pd.DataFrame({"session": days, "volatility_annualised": [highest / 2, highest, highest / 3]})
    with theme.screen_style():
        figure, axes = theme.new_axes(4.6, 2.3)
        draw_rolling_volatility(axes, dataclasses.replace(report, rolling=rows))
        figure.canvas.draw()
    labels = {tick: label.get_text() for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert len(set(labels.values())) == len(labels) > 2
    for tick, label in labels.items():
        assert float(label.removesuffix("%").replace("\u2212", "-")) / 100 == pytest.approx(tick, abs=1e-9)
