"""Who trades in the simulated market: thirty invented companies in seven sectors, and their script.

Belongs here: facts about each company that do not depend on the seed. The seed draws paths, never companies.
Times are session numbers counted from the first session of the market, 0. All names and tickers are invented.
"""

from __future__ import annotations

from dataclasses import dataclass

BENCHMARK_SECTOR = "Benchmark"
BENCHMARK_START_PRICE_USD = 180.0
BENCHMARK_DOLLAR_VOLUME_USD = 12e9


@dataclass(frozen=True)
class Instrument:
    """One simulated company.

    Parameters
    ----------
    symbol, name, sector : str
        Permanent symbol, which is also the first ticker; invented name; sector whose factor it follows.
    beta : float
        Loading on the market factor.
    idiosyncratic_volatility : float
        Annualised standard deviation of its own innovations, 1/year.
    start_price_usd : float
        Price before its first session.
    dollar_volume_usd : float
        Typical traded value of a session.
    dividend_yield : float
        Annual yield of the quarterly dividends; 0 for none.
    first_session : int
        Session number of its first bar.
    last_session : int, optional
        Session number of its last bar; None while it trades.
    rename : (int, str), optional
        Session number from which it trades under another ticker, and that ticker.
    split : (int, float), optional
        Session number and ratio (new shares for one old share) of a split that happens whatever the price.
    """

    symbol: str
    name: str
    sector: str
    beta: float
    idiosyncratic_volatility: float
    start_price_usd: float
    dollar_volume_usd: float
    dividend_yield: float = 0.0
    first_session: int = 0
    last_session: int | None = None
    rename: tuple[int, str] | None = None
    split: tuple[int, float] | None = None


SECTORS = ("Technology", "Health Care", "Financials", "Energy", "Consumer", "Industrials", "Utilities")

_TECH, _HEALTH, _FINANCE, _ENERGY, _CONSUMER, _INDUSTRY, _UTILITY = SECTORS

INSTRUMENTS = (
    Instrument("AVQR", "Avaquor Semiconductors", _TECH, 1.35, 0.22, 212.0, 190e6, split=(118, 2.0)),
    Instrument("NZLO", "Nezlo Software", _TECH, 1.20, 0.20, 74.0, 120e6),
    Instrument("QBYZ", "Qubyze Systems", _TECH, 1.25, 0.21, 58.0, 85e6),
    Instrument("VRXQ", "Vrexaq Networks", _TECH, 1.10, 0.19, 96.0, 60e6, dividend_yield=0.012),
    Instrument("XOVZ", "Xovezo Devices", _TECH, 1.15, 0.20, 330.0, 240e6, split=(421, 4.0)),
    Instrument("ZNQL", "Zenquil Cloud", _TECH, 1.30, 0.24, 48.0, 45e6, first_session=478),
    Instrument("MDQL", "Medaquil Therapeutics", _HEALTH, 0.90, 0.22, 66.0, 40e6),
    Instrument("PHZQ", "Phazoqua Pharma", _HEALTH, 0.75, 0.19, 88.0, 95e6, dividend_yield=0.028),
    Instrument("BVXZ", "Bivexza Biologics", _HEALTH, 1.10, 0.28, 41.0, 30e6),
    Instrument("KRQW", "Kurequaw Instruments", _HEALTH, 0.85, 0.19, 124.0, 50e6, dividend_yield=0.014),
    Instrument("GZOQ", "Ganzoqor Diagnostics", _HEALTH, 1.05, 0.23, 32.0, 18e6, first_session=1207),
    Instrument("BQVZ", "Banquevaz Holdings", _FINANCE, 1.15, 0.17, 54.0, 150e6, dividend_yield=0.026),
    Instrument("CRZQ", "Crezdaq Capital", _FINANCE, 1.25, 0.20, 92.0, 70e6, dividend_yield=0.018),
    Instrument("IQSZ", "Inquessaz Insurance", _FINANCE, 0.85, 0.18, 71.0, 42e6, dividend_yield=0.022),
    Instrument("TVZQ", "Travazoq Payments", _FINANCE, 1.10, 0.19, 246.0, 130e6, split=(246, 3.0)),
    Instrument("OLQZ", "Olqueza Petroleum", _ENERGY, 1.00, 0.19, 83.0, 110e6, dividend_yield=0.036),
    Instrument("DRZQ", "Drezloq Drilling", _ENERGY, 1.20, 0.26, 6.5, 9e6, split=(390, 0.125)),
    Instrument("PYQZ", "Pyqueza Pipelines", _ENERGY, 0.80, 0.19, 45.0, 38e6, dividend_yield=0.044),
    Instrument("SZLQ", "Sazoliq Solar", _ENERGY, 1.25, 0.26, 27.0, 14e6, first_session=1893),
    Instrument("FVZQ", "Favezaq Foods", _CONSUMER, 0.65, 0.20, 62.0, 55e6, dividend_yield=0.029),
    Instrument("HQMZ", "Haqumez Home", _CONSUMER, 1.00, 0.18, 79.0, 65e6, dividend_yield=0.020),
    Instrument("LZQU", "Luzaquo Apparel", _CONSUMER, 1.10, 0.21, 51.0, 33e6),
    Instrument("RZTQ", "Razetaq Restaurants", _CONSUMER, 0.90, 0.18, 104.0, 48e6, dividend_yield=0.016),
    Instrument("YQGZ", "Yaqgaz Retail", _CONSUMER, 1.00, 0.20, 37.0, 22e6, last_session=1511),
    Instrument("JQNZ", "Jaquenz Engines", _INDUSTRY, 1.05, 0.18, 115.0, 58e6, dividend_yield=0.021),
    Instrument("TZRQ", "Tazeraq Freight", _INDUSTRY, 1.00, 0.18, 68.0, 36e6),
    Instrument("MVQZ", "Mavequez Aerospace", _INDUSTRY, 1.10, 0.19, 139.0, 75e6, dividend_yield=0.017),
    Instrument("WZLQ", "Wazelq Tools", _INDUSTRY, 0.95, 0.17, 57.0, 28e6, rename=(902, "WZTQ")),
    Instrument("EQZU", "Equzu Electric", _UTILITY, 0.60, 0.20, 49.0, 60e6, dividend_yield=0.035),
    Instrument("WQTZ", "Waqatez Water", _UTILITY, 0.55, 0.20, 43.0, 16e6, dividend_yield=0.027, first_session=2410),
)

INDUSTRIES = {
    "AVQR": "Semiconductors", "NZLO": "Software", "QBYZ": "Software", "VRXQ": "Communications Equipment",
    "XOVZ": "Hardware", "ZNQL": "Software", "MDQL": "Biotechnology", "PHZQ": "Pharmaceuticals",
    "BVXZ": "Biotechnology", "KRQW": "Medical Equipment", "GZOQ": "Medical Equipment", "BQVZ": "Banks",
    "CRZQ": "Capital Markets", "IQSZ": "Insurance", "TVZQ": "Payments", "OLQZ": "Oil and Gas Production",
    "DRZQ": "Oil and Gas Services", "PYQZ": "Oil and Gas Transport", "SZLQ": "Renewable Energy",
    "FVZQ": "Food Products", "HQMZ": "Household Durables", "LZQU": "Apparel", "RZTQ": "Restaurants", "YQGZ": "Retail",
    "JQNZ": "Machinery", "TZRQ": "Freight", "MVQZ": "Aerospace", "WZLQ": "Machinery", "EQZU": "Electric Utilities",
    "WQTZ": "Water Utilities",
}  # fmt: skip
"""Industry of each company within its sector."""

UNSHORTABLE = frozenset({"DRZQ", "SZLQ", "GZOQ", "WQTZ"})
"""Companies too small for anybody to lend their shares."""

TICK_USD = 0.01
"""Prices of the simulated market are whole cents."""
