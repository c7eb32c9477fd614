"""Costs against examples that others published: Interactive Brokers' plans, Almgren et al., and zipline's tests."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import (
    INTERACTIVE_BROKERS_FIXED,
    INTERACTIVE_BROKERS_TIERED,
    PerShare,
    Tiered,
    commission_usd,
)
from aegis.backtesting.costs import CostModel
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.market_impact import Almgren, impact_fraction
from aegis.backtesting.regulatory_fees import rates_on, regulatory_fees_usd
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.slippage import VolumeShare

# Interactive Brokers, "Stock and ETF Fixed vs. Tiered Pricing Comparison Examples", as published while the Section 31
# rate was 8.00 USD per million and the cap of the Trading Activity Fee 7.27 USD, which was so in 2023 only: sales at
# 5 USD. The tiered plan's own part is listed by tier; exchange and clearing fees are not modelled.
DAY_OF_THE_EXAMPLES = date(2023, 6, 1)


def _commission(plan: PerShare | Tiered, shares: float, price: float) -> float:
    return commission_usd(CostModel(commission=plan).pack()[0], -shares, price, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("shares", "usd"), [(30_000_000.0, 1_050 + 5_400 + 25_500 + 10_000), (200_000.0, 700)])
def test_tiered_plan_of_interactive_brokers(shares: float, usd: float) -> None:
    assert _commission(INTERACTIVE_BROKERS_TIERED, shares, 5.0) == pytest.approx(usd, rel=1e-12)


@pytest.mark.parametrize(
    ("shares", "section31", "activity", "total_fixed"),
    [(30_000_000.0, 1_200.0, 7.27, 151_207.27), (200_000.0, 8.0, 7.27, 1_015.27)],
)
def test_fixed_plan_and_regulatory_fees_of_interactive_brokers(
    shares: float, section31: float, activity: float, total_fixed: float
) -> None:
    rates = rates_on(DAY_OF_THE_EXAMPLES)
    fees = regulatory_fees_usd(rates.section31_rate, rates.taf_per_share, rates.taf_cap_usd, -shares, 5.0, 0.0)
    assert fees == (pytest.approx(section31), pytest.approx(activity))
    assert _commission(INTERACTIVE_BROKERS_FIXED, shares, 5.0) + sum(fees) == pytest.approx(total_fixed, rel=1e-12)


@pytest.mark.parametrize(("shares", "price", "usd"), [(100, 25.0, 1.0), (1_000, 25.0, 5.0), (1_000, 0.25, 2.5)])
def test_examples_of_the_fixed_plan_of_interactive_brokers(shares: float, price: float, usd: float) -> None:
    assert _commission(INTERACTIVE_BROKERS_FIXED, shares, price) == pytest.approx(usd)


# Almgren, Thum, Hauptmann and Li (2005), Direct estimation of equity market impact: the example of selling a tenth of a
# day's volume of IBM and of Darden within 0.1, 0.2 and 0.5 days. Inputs and results, in basis points rounded to whole
# ones, as the DROP library (org.drip.sample.athl) prints its reconciliation with the paper.
IBM = {"adv": 6_561_000.0, "outstanding": 1_728_000_000.0, "sigma": 0.0157}
DARDEN = {"adv": 1_929_000.0, "outstanding": 168_000_000.0, "sigma": 0.0226}


@pytest.mark.parametrize(
    ("share", "days", "bps"),
    [(IBM, 0.1, 32), (IBM, 0.2, 25), (IBM, 0.5, 18), (DARDEN, 0.1, 43), (DARDEN, 0.2, 32), (DARDEN, 0.5, 23)],
)
def test_realised_impact_of_almgren_et_al(share: dict[str, float], days: float, bps: int) -> None:
    model = Almgren(duration_days=days, inverse_turnover_days=share["outstanding"] / share["adv"])
    paid = impact_fraction(CostModel(impact=model).pack()[0], share["adv"] / 10, share["adv"], share["sigma"])
    assert round(paid * 1e4) == bps


@pytest.mark.parametrize(("share", "bps"), [(IBM, 19.860), (DARDEN, 21.679)])
def test_permanent_impact_of_almgren_et_al(share: dict[str, float], bps: float) -> None:
    model = Almgren(eta=0.0, inverse_turnover_days=share["outstanding"] / share["adv"])
    paid = impact_fraction(CostModel(impact=model).pack()[0], share["adv"] / 10, share["adv"], share["sigma"])
    assert 2 * paid * 1e4 == pytest.approx(bps, abs=5e-4)  # half of it is in the price


def test_volume_share_slippage_of_zipline() -> None:
    """zipline-reloaded, ``test_volume_share_slippage``: of 100 shares a bar of 200 at 3.00 USD fills 5, at 3.0001875.

    Its limit of 2.5 % of the volume is the participation rate here.
    """
    prices = np.full(2, 3.0)
    market = Bars.from_arrays(
        *(prices,) * 4, np.full(2, 200.0), closes_at=np.arange(1, 3) * 86_400_000_000_000, symbols=["A133"]
    )
    config = BacktestConfig(
        rules=TradingRules(participation_rate=0.025), costs=CostModel(slippage=VolumeShare(price_impact=0.1))
    )
    done = EventDrivenBacktest(TargetShares(shares=[100.0, np.nan]), market, config).run()
    assert done.fills["quantity_shares"].tolist() == [5.0]
    assert done.fills["price_usd"].tolist() == pytest.approx([3.0001875], rel=1e-12)
