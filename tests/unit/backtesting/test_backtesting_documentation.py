"""The script of docs/backtesting.md is run as it stands there, and its tables are compared with the code."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path

import pytest

from aegis.backtesting import commissions, market_impact, slippage
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.kernel.vocabulary import REASONS
from aegis.backtesting.rules import TradingRules
from aegis.execution.order_reasons import OrderReason
from aegis.reporting.report import SIMULATED_LABEL

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "backtesting.md").read_text(encoding="utf-8")
CONVENTIONS = (DOCS / "fills.md").read_text(encoding="utf-8")
SCRIPT = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))


def test_the_script_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a file, because machine code is kept beside one."""
    file = tmp_path / "backtest.py"
    file.write_text(SCRIPT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("backtest_of_the_page", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # asserts that array, jitted and chunked runs agree
    assert module.results.metrics.trade_count > 10
    assert module.breakout.fills > 2
    assert module.held.metrics.fill_count == module.breakout.fills
    assert module.paid.metrics.dividends_usd > 0.0
    assert module.left.orders["state"].value_counts()["filled"] == 1
    assert len(module.windows.windows) == 3
    assert len(module.crossed.to_frame()) == 8
    assert len(module.lengths.to_frame()) == 2
    page = (tmp_path / "reports" / "backtest.html").read_text(encoding="utf-8")
    assert SIMULATED_LABEL in page
    assert "a random walk" in page
    assert "reports/backtest.html" in capsys.readouterr().out


@pytest.mark.parametrize("rule", list(fields(TradingRules)), ids=lambda field: field.name)
def test_every_rule_stands_in_the_table_with_its_default(rule: object) -> None:
    name, default = rule.name, rule.default  # type: ignore[attr-defined]
    (line,) = [text for text in PAGE.splitlines() if text.startswith("| `") and f"`{name}`" in text.split("|")[1]]
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    shown = "without bound" if shown == "inf" else f'"{shown}"' if isinstance(default, str) else shown
    assert shown in line.split("|")[2]


@pytest.mark.parametrize("setting", list(fields(BacktestConfig)), ids=lambda field: field.name)
def test_every_setting_stands_in_the_table_with_its_default(setting: Field[object]) -> None:
    table = PAGE.split("## Settings")[1].split("## Costs")[0]
    lines = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    ((_, names, defaults, meaning, _),) = [line for line in lines if f"`{setting.name}`" in line[1]]
    place = [name.strip() for name in names.split(",")].index(f"`{setting.name}`")
    shown = [default.strip() for default in defaults.replace(",000", "000").split(",")][place]
    factory = setting.default_factory
    if factory is not MISSING and is_dataclass(factory):
        expected = f"`{factory.__name__}()`"
    elif factory is not MISSING or setting.default == ():
        expected = "none"
    elif isinstance(setting.default, str):
        expected = f'`"{setting.default}"`'
    else:
        expected = f"{setting.default:.12g}" if isinstance(setting.default, float) else str(setting.default)
    assert shown == expected
    assert meaning.strip()


@pytest.mark.parametrize("module", [slippage, market_impact, commissions])
def test_every_cost_model_stands_in_the_table_with_its_parameters(module: object) -> None:
    models = [value for value in vars(module).values() if isinstance(value, type) and is_dataclass(value)]
    own = [model for model in models if model.__module__ == module.__name__]  # type: ignore[attr-defined]
    assert own
    for model in own:
        (line,) = [text for text in PAGE.splitlines() if text.startswith("| ") and f"`{model.__name__}`" in text]
        for parameter in fields(model):
            named = re.search(rf"`{parameter.name}`(?: ([\d.]+))?", line)
            if "the same bounds" in line and named is None:
                continue
            assert named is not None, (model.__name__, parameter.name)
            if parameter.default not in (MISSING, float("inf")) and named[1] is not None:
                assert float(named[1].rstrip(".")) == parameter.default, (model.__name__, parameter.name)


def test_reasons_of_the_conventions_are_the_words_that_orders_show() -> None:
    """Two words between ticks are a reason there; and each word of the table of rejects is one of the kernel's."""
    reasons = {reason.value for reason in OrderReason}
    assert set(re.findall(r"`([a-z]+ [a-z ]+)`", CONVENTIONS)) <= reasons
    table = CONVENTIONS.split("## Rejects")[1].split("\n\n")[1]
    rejects = {word for line in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", line.split("|")[1])}
    assert len(rejects) == 9
    assert rejects <= {reason.value for reason in REASONS.values()}
