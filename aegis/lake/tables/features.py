"""The table of features, and what each feature is: formula, source, unit and look-back.

Belongs here: the one definition of each column of ``features/daily_features``, from which the table, its Dagster
column schema and ``docs/features.md`` are made. How a column is computed is :mod:`aegis.features.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import KNOWN_AT, SESSION, SYMBOL


@dataclass(frozen=True)
class FeatureDefinition:
    """One feature of a member of the universe in a session t.

    Parameters
    ----------
    name : str
        Column of the table.
    family : str
        What it is a feature of: momentum, reversal, volatility, ...
    unit : str
    closes : int
        Sessions, t included, whose closes it is made from. It is null until that many are known.
    description : str
        What a reader of the table needs to know.
    formula : str
        In the notation of ``docs/features.md``.
    reference : str
        Author, year and equation.
    """

    name: str
    family: str
    unit: str
    closes: int
    description: str
    formula: str
    reference: str

    @property
    def column(self) -> Column:
        """The column of the table."""
        return Column(self.name, "float", self.description, self.unit, nullable=True)


_JEGADEESH_TITMAN = "Jegadeesh and Titman (1993), Journal of Finance 48: returns of the past J months"

SYMBOL_FEATURES = (
    FeatureDefinition(
        "momentum_12_1", "momentum", "1", 253, "Total return from 252 to 21 sessions ago.",
        "P(t-21) / P(t-252) - 1", _JEGADEESH_TITMAN,
    ),
    FeatureDefinition(
        "momentum_12_7", "momentum", "1", 253, "Total return from 252 to 126 sessions ago.",
        "P(t-126) / P(t-252) - 1",
        "Novy-Marx (2012), Journal of Financial Economics 103: intermediate-horizon past performance",
    ),
    FeatureDefinition(
        "momentum_6_1", "momentum", "1", 127, "Total return from 126 to 21 sessions ago.",
        "P(t-21) / P(t-126) - 1", _JEGADEESH_TITMAN,
    ),
    FeatureDefinition(
        "momentum_3_1", "momentum", "1", 64, "Total return from 63 to 21 sessions ago.",
        "P(t-21) / P(t-63) - 1", _JEGADEESH_TITMAN,
    ),
    FeatureDefinition(
        "high_52w", "momentum", "1", 252, "Adjusted close over the highest adjusted close of 252 sessions, 0 to 1.",
        "P(t) / max P(t-251 .. t)",
        "George and Hwang (2004), Journal of Finance 59: nearness to the 52-week high; here of closes",
    ),
    FeatureDefinition(
        "seasonality_12", "momentum", "1", 253,
        "Total return of the 21 sessions from 252 to 231 sessions ago: the month ahead, a year before.",
        "P(t-231) / P(t-252) - 1",
        "Heston and Sadka (2008), Journal of Financial Economics 87, equation 1 at the lag of 12 months",
    ),
    FeatureDefinition(
        "reversal_1", "reversal", "1", 2, "Minus the total return of the last session.",
        "1 - P(t) / P(t-1)",
        "Lehmann (1990), Quarterly Journal of Economics 105: short-term reversal, of one session",
    ),
    FeatureDefinition(
        "reversal_5", "reversal", "1", 6, "Minus the total return of the last 5 sessions.",
        "1 - P(t) / P(t-5)",
        "Lehmann (1990), Quarterly Journal of Economics 105: weekly reversal",
    ),
    FeatureDefinition(
        "reversal_21", "reversal", "1", 22, "Minus the total return of the last 21 sessions.",
        "1 - P(t) / P(t-21)",
        "Jegadeesh (1990), Journal of Finance 45: monthly reversal",
    ),
    FeatureDefinition(
        "volatility_21", "volatility", "1/year", 22,
        "Annualised standard deviation of daily total returns, 21 sessions.",
        "sqrt(252 Σ (r - mean r)² / (n - 1))", "sample standard deviation",
    ),
    FeatureDefinition(
        "volatility_63", "volatility", "1/year", 64,
        "Annualised standard deviation of daily total returns, 63 sessions.",
        "sqrt(252 Σ (r - mean r)² / (n - 1))", "sample standard deviation",
    ),
    FeatureDefinition(
        "downside_volatility_63", "volatility", "1/year", 64,
        "Annualised root mean square of negative daily total returns, 63 sessions; gains count as zero.",
        "sqrt(252 Σ min(r, 0)² / n)",
        "Sortino and van der Meer (1991), Journal of Portfolio Management 17: downside deviation about a target of 0",
    ),
    FeatureDefinition(
        "parkinson_volatility_21", "volatility", "1/year", 21,
        "Annualised volatility within the session from high and low, 21 sessions.",
        "sqrt(252 Σ ln(H/L)² / (4 n ln 2))",
        "Parkinson (1980), Journal of Business 53, the extreme-value estimator of the diffusion constant",
    ),
    FeatureDefinition(
        "garman_klass_volatility_21", "volatility", "1/year", 21,
        "Annualised volatility within the session from open, high, low and close, 21 sessions.",
        "sqrt(252 Σ [ln(H/L)² / 2 - (2 ln 2 - 1) ln(C/O)²] / n)",
        "Garman and Klass (1980), Journal of Business 53: the practical form of their best estimator",
    ),
    FeatureDefinition(
        "beta_252", "volatility", "1", 253,
        "Slope of daily total returns on the benchmark's, 252 sessions.",
        "Σ (x - mean x)(r - mean r) / Σ (x - mean x)²",
        "Sharpe (1964), Journal of Finance 19: the regression coefficient on the market",
    ),
    FeatureDefinition(
        "idiosyncratic_volatility_252", "volatility", "1/year", 253,
        "Annualised standard error of the regression on the benchmark, 252 sessions.",
        "sqrt(252 Σ e² / (n - 2)), e = r - mean r - beta (x - mean x)",
        "Ang, Hodrick, Xing and Zhang (2006), Journal of Finance 61, equation 8; here of the one-factor market model",
    ),
    FeatureDefinition(
        "skewness_63", "distribution", "1", 64, "Sample skewness of daily total returns, 63 sessions.",
        "n / ((n - 1)(n - 2)) Σ ((r - mean r) / s)³",
        "Joanes and Gill (1998), The Statistician 47: the estimator G1",
    ),
    FeatureDefinition(
        "max_return_21", "distribution", "1", 22, "Largest daily total return of 21 sessions.",
        "max r", "Bali, Cakici and Whitelaw (2011), Journal of Financial Economics 99: MAX",
    ),
    FeatureDefinition(
        "trend_50_200", "trend", "1", 200, "Log ratio of the 50- to the 200-session mean adjusted close.",
        "ln(mean P(t-49 .. t) / mean P(t-199 .. t))",
        "Brock, Lakonishok and LeBaron (1992), Journal of Finance 47: the moving-average rule, as a continuous value",
    ),
    FeatureDefinition(
        "trend_t_63", "trend", "1", 63,
        "t-statistic of the slope of the log adjusted close on the session's number, 63 sessions.",
        "b / se(b), ln P(t-62+k) = a + b k + e, k = 0 .. 62",
        "López de Prado (2020), Machine Learning for Asset Managers, section 5.4: trend scanning",
    ),
    FeatureDefinition(
        "macd_12_26", "trend", "1", 104,
        "Exponential mean of 12 sessions over that of 26, less 1; adjusted closes, weights of 104 sessions.",
        "EMA12 / EMA26 - 1, EMAn = Σ wᵏ P(t-k) / Σ wᵏ, w = 1 - 2 / (n + 1), k = 0 .. 103",
        "Appel (2005), Technical Analysis: Power Tools for Active Investors; as a share of the longer mean",
    ),
    FeatureDefinition(
        "liquidity_21", "liquidity", "log USD", 21, "Log of the median dollar volume of 21 sessions.",
        "ln median(C V)", "median of close × volume",
    ),
    FeatureDefinition(
        "amihud_21", "liquidity", "1/million USD", 22,
        "Mean absolute total return per million USD traded, 21 sessions: what a trade moves the price.",
        "mean(|r| / (C V / 1e6))", "Amihud (2002), Journal of Financial Markets 5, equation 1",
    ),
    FeatureDefinition(
        "volume_5_63", "liquidity", "1", 63, "Log ratio of the 5- to the 63-session mean dollar volume.",
        "ln(mean(C V)(t-4 .. t) / mean(C V)(t-62 .. t))",
        "Gervais, Kaniel and Mingelgrin (2001), Journal of Finance 56: unusual volume, as a continuous value",
    ),
    FeatureDefinition(
        "corwin_schultz_spread_21", "liquidity", "1", 22,
        "Mean bid-ask spread as a share of the price, estimated from highs and lows of 21 pairs of sessions.",
        "mean max(S, 0), S = 2 (exp(alpha) - 1) / (1 + exp(alpha))",
        "Corwin and Schultz (2012), Journal of Finance 67, equations 14 and 18, with the overnight correction",
    ),
    FeatureDefinition(
        "dividend_yield_12", "value", "1/year", 252,
        "Dividends that went ex in 252 sessions, per share of today, over the raw close.",
        "Σ d / C(t), d in terms of today's shares",
        "Litzenberger and Ramaswamy (1979), Journal of Financial Economics 7: trailing 12-month yield",
    ),
)  # fmt: skip

RANKED_FEATURES = (
    "momentum_12_1",
    "reversal_5",
    "volatility_63",
    "trend_50_200",
    "liquidity_21",
    "dividend_yield_12",
)
"""Features that the table also holds as ranks and z-scores of the session's members: one or more for each family."""

_BY_NAME = {feature.name: feature for feature in SYMBOL_FEATURES}


def _rank_of(feature: FeatureDefinition) -> FeatureDefinition:
    return FeatureDefinition(
        f"{feature.name}_rank", "cross-section", "1", feature.closes,
        f"Rank of {feature.name} among the session's members, between 0 and 1; ties share the mean rank.",
        "(rank - 1/2) / n", "Hazen (1914), Transactions ASCE 77: plotting position",
    )  # fmt: skip


def _z_score_of(feature: FeatureDefinition) -> FeatureDefinition:
    return FeatureDefinition(
        f"{feature.name}_z", "cross-section", "standard deviations", feature.closes,
        f"Standard score of {feature.name} among the session's members, cut at 3.",
        "(x - mean x) / s, cut at ±3", "Grinold and Kahn (2000), Active Portfolio Management, ch. 11 and 14",
    )  # fmt: skip


CROSS_SECTIONAL_FEATURES = tuple(
    definition(_BY_NAME[name]) for name in RANKED_FEATURES for definition in (_rank_of, _z_score_of)
)

FEATURES = SYMBOL_FEATURES + CROSS_SECTIONAL_FEATURES

DAILY_FEATURES = TableSchema(
    "features",
    "daily_features",
    "Point-in-time features of each universe member; null until the look-back is full.",
    ("session", "symbol"),
    (SESSION, SYMBOL, *(feature.column for feature in FEATURES), KNOWN_AT),
)
