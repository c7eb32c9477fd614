"""The composed cost model: its short forms, its settings, and the record compiled code reads."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.commissions import Bps, PerShare, PerTrade, Tiered, commission_usd
from aegis.backtesting.costs import COSTS, CostModel
from aegis.backtesting.financing import Financing, interest_usd
from aegis.backtesting.market_impact import Almgren, NoImpact, PowerLaw, SquareRoot, impact_fraction
from aegis.backtesting.slippage import FixedBps, FixedSpread, NoSlippage, Volatility, VolumeShare, slipped_price
from aegis.config import load_config
from aegis.config_eval import BacktestingEval
from aegis.errors import ConfigurationError


def test_the_default_is_free() -> None:
    costs = CostModel().pack()[0]
    assert slipped_price(costs, 50.0, 100.0, 1.0, 0.5, 51.0, 49.0) == 50.0
    assert impact_fraction(costs, 100.0, 1.0, 0.5) == 0.0
    assert commission_usd(costs, 100.0, 50.0, 0.0, 0.0, 0.0) == 0.0
    assert interest_usd(costs, 1e6, 365.0) == 0.0
    assert costs["regulatory_fees"] == 0


def test_basis_points_are_short_for_the_models() -> None:
    short = CostModel(5.0, 1.0)
    assert short == CostModel(slippage=FixedBps(5.0), commission=Bps(1.0))
    assert (short.slippage, short.commission) == (FixedBps(5.0), Bps(1.0))
    assert CostModel(slippage=FixedBps(5.0), commission=Bps(1.0)).slippage_bps == 5.0
    assert CostModel(slippage_bps=5.0, slippage=FixedBps(5.0)) == CostModel(slippage_bps=5.0)


def test_a_short_form_beside_another_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"FixedBps\(slippage_bps=5\.0\), and FixedSpread.*leave one out"):
        CostModel(5.0, slippage=FixedSpread(0.01))
    with pytest.raises(ConfigurationError, match=r"Bps\(commission_bps=1\.0\), and PerTrade"):
        CostModel(commission_bps=1.0, commission=PerTrade(1.0))


def test_basis_points_out_of_bounds_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"FixedBps\.slippage_bps .* found -5"):
        CostModel(slippage_bps=-5.0)
    with pytest.raises(ConfigurationError, match=r"Bps\.commission_bps .* found nan"):
        CostModel(commission_bps=float("nan"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"slippage": 5}, r"slippage is 5 and must be NoSlippage or FixedBps .* write slippage_bps=\.\.\."),
        ({"commission": 0.001}, r"commission is 0\.001 and must be Bps or .* write commission_bps=\.\.\."),
        ({"impact": None}, "impact is None and must be NoImpact or SquareRoot"),
        ({"impact": SquareRoot}, "impact is <class .*a value and not the class"),
        ({"financing": 0.02}, r"financing is 0\.02 and must be Financing"),
        ({"regulatory_fees": "no"}, "regulatory_fees is 'no' and must be bool"),
        ({"slippage_bps": "5"}, r"FixedBps\.slippage_bps must be a number, found '5'"),
    ],
)
def test_a_part_of_another_type_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CostModel(**given)  # type: ignore[arg-type]


def test_a_model_is_a_frozen_value() -> None:
    costs = CostModel(5.0)
    with pytest.raises(FrozenInstanceError):
        costs.slippage_bps = 6.0  # type: ignore[misc]
    assert hash(costs) == hash(CostModel(5.0))


def test_the_record_has_numbers_only_and_is_one_row() -> None:
    packed = CostModel().pack()
    assert packed.shape == (1,)
    assert packed.dtype == COSTS
    assert COSTS.isalignedstruct
    bases = {COSTS[name].base for name in COSTS.names or ()}
    assert bases <= {np.dtype("f8"), np.dtype("i8"), np.dtype("i1")}


def test_every_part_is_packed() -> None:
    costs = CostModel(
        slippage=FixedSpread(0.04),
        commission=Tiered(((0, 0.01), (100, 0.005)), min_usd_per_order=0.3),
        impact=SquareRoot(),
        financing=Financing(credit_rate_per_year=0.036),
        regulatory_fees=True,
        slippage_within_bar=True,
    ).pack()[0]
    assert slipped_price(costs, 50.0, 1.0, 1e4, 0.02, 50.01, 49.0) == 50.01  # not 50.02: the bar ends there
    assert impact_fraction(costs, 100.0, 1e4, 0.02) == pytest.approx(0.002)  # 0.02 * sqrt(0.01)
    assert commission_usd(costs, 200.0, 50.0, 0.0, 0.0, 0.0) == pytest.approx(1.5)  # 100 * 0.01 + 100 * 0.005
    assert commission_usd(costs, 1.0, 50.0, 0.0, 0.0, 0.0) == pytest.approx(0.3)
    assert interest_usd(costs, 1e4, 1.0) == pytest.approx(1.0)  # 1e4 * 0.036 / 360
    assert costs["regulatory_fees"] == 1


@given(price=st.floats(0.01, 1e4), shares=st.integers(-10_000, 10_000), bps=st.floats(0, 100))
def test_the_session_matcher_and_compiled_code_agree_to_the_bit(price: float, shares: int, bps: float) -> None:
    model = CostModel(bps, bps / 2)
    costs = model.pack()[0]
    if shares != 0:
        compiled = slipped_price(costs, price, float(shares), 1e6, 0.02, price, price)
        assert compiled == model.fill_price_usd(price, shares)
    assert commission_usd(costs, float(shares), price, 0.0, 0.0, 0.0) == model.commission_usd(abs(shares) * price)


@pytest.mark.parametrize(
    "costs", [CostModel(slippage=VolumeShare()), CostModel(impact=Almgren()), CostModel(5.0, slippage_within_bar=True)]
)
def test_the_session_matcher_refuses_prices_it_cannot_know(costs: CostModel) -> None:
    with pytest.raises(ConfigurationError, match=r"set eval\.backtesting\.slippage_model to none or fixed"):
        costs.fill_price_usd(50.0, 100.0)


@pytest.mark.parametrize(
    "costs",
    [
        CostModel(commission=PerShare(0.005)),
        CostModel(regulatory_fees=True),
        CostModel(financing=Financing(credit_rate_per_year=0.01)),
    ],
)
def test_the_session_matcher_refuses_charges_it_would_not_make(costs: CostModel) -> None:
    with pytest.raises(ConfigurationError, match=r"set eval\.backtesting\.commission\.model to bps"):
        costs.commission_usd(5_000.0)


def test_default_settings_are_five_basis_points_and_one() -> None:
    assert CostModel.from_settings(BacktestingEval()) == CostModel(5.0, 1.0)
    assert CostModel.from_settings(BacktestingEval(slippage_model="none")) == CostModel(0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"slippage_model": "fixed_spread", "slippage": {"spread_usd": 0.02}},
            CostModel(slippage=FixedSpread(0.02), commission_bps=1.0),
        ),
        ({"slippage_model": "volume_share"}, CostModel(slippage=VolumeShare(), commission_bps=1.0)),
        (
            {"slippage_model": "volatility", "slippage": {"sigma_multiple": 0.1, "fallback_bps": 20}},
            CostModel(slippage=Volatility(0.1, 20.0), commission_bps=1.0),
        ),
        ({"impact": {"model": "square_root"}}, CostModel(5.0, 1.0, impact=SquareRoot())),
        (
            {"impact": {"model": "almgren", "duration_days": 0.5}},
            CostModel(5.0, 1.0, impact=Almgren(duration_days=0.5)),
        ),
        (
            {"impact": {"model": "power_law", "coefficient": 0.3, "exponent": 0.6}},
            CostModel(5.0, 1.0, impact=PowerLaw(0.3, 0.6)),
        ),
        (
            {"commission": {"model": "per_share", "usd_per_share": 0.005, "min_usd_per_order": 1}},
            CostModel(5.0, commission=PerShare(0.005, 1.0)),
        ),
        ({"commission": {"model": "per_trade", "usd_per_order": 4.95}}, CostModel(5.0, commission=PerTrade(4.95))),
        (
            {"commission": {"model": "tiered", "tiers": [[0, 0.0035], [300000, 0.002]]}},
            CostModel(5.0, commission=Tiered(((0.0, 0.0035), (300_000.0, 0.002)))),
        ),
        (
            {"regulatory_fees": True, "slippage_within_bar": True, "financing": {"debit_rate_per_year": 0.06}},
            CostModel(
                5.0, 1.0, regulatory_fees=True, slippage_within_bar=True, financing=Financing(debit_rate_per_year=0.06)
            ),
        ),
    ],
)
def test_settings_describe_each_model(settings: dict[str, object], expected: CostModel) -> None:
    assert CostModel.from_settings(BacktestingEval.model_validate(settings)) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slippage_model": "fixed_spread"}, r"slippage, model fixed_spread: needs spread_usd"),
        (
            {"slippage": {"spread_usd": 0.01}},
            r"slippage, model fixed: does not take spread_usd; it takes no parameters",
        ),
        ({"slippage_model": "volatility", "slippage": {"price_impact": 0.1}}, r"takes sigma_multiple, fallback_bps"),
        ({"impact": {"eta": 0.1}}, r"eval\.backtesting\.impact, model none: does not take eta"),
        ({"impact": {"model": "power_law", "coefficient": 1}}, r"impact, model power_law: needs exponent"),
        ({"commission": {"usd_per_share": 0.01}}, r"commission, model bps: does not take usd_per_share"),
        ({"commission": {"model": "tiered"}}, r"commission, model tiered: needs tiers"),
    ],
)
def test_settings_that_a_model_does_not_understand_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CostModel.from_settings(BacktestingEval.model_validate(settings))


def test_nested_parameters_are_read_from_the_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "aegis.yaml"
    text = "eval:\n  backtesting:\n    impact:\n      model: square_root\n    commission:\n      model: per_share\n"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("AEGIS_EVAL__BACKTESTING__COMMISSION__USD_PER_SHARE", "0.004")
    costs = CostModel.from_settings(load_config(file).eval.backtesting)
    assert costs == CostModel(5.0, impact=SquareRoot(), commission=PerShare(0.004))


def test_an_unknown_parameter_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("eval:\n  backtesting:\n    slippage:\n      spred_usd: 0.1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"eval\.backtesting\.slippage\.spred_usd; the nearest .*spread_usd"):
        load_config(file)


def test_models_of_different_kinds_are_different() -> None:
    assert CostModel(slippage=NoSlippage()) != CostModel(slippage=FixedBps(0.0))
    assert CostModel(impact=NoImpact()) != CostModel(impact=SquareRoot())
