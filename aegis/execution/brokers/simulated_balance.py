"""What a simulated account is worth and may still buy.

Belongs here: the balance that a broker over the matching kernel tells.
"""

from __future__ import annotations

from aegis.backtesting.rules import TradingRules
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.broker import AccountBalance


def balance(state: AccountState, rules: TradingRules) -> AccountBalance:
    """Return cash, equity at the last marks, and buying power."""
    return AccountBalance(
        account=state.account,
        cash_usd=state.cash_usd,
        equity_usd=state.equity_usd,
        buying_power_usd=_buying_power_usd(state, rules),
    )


def _buying_power_usd(state: AccountState, rules: TradingRules) -> float:
    """Return what may still be bought, USD: cash, or what the free equity of a margin account carries."""
    if rules.account_type == "cash":
        return max(state.cash_usd, 0.0)
    gross = sum(abs(position.market_value_usd) for position in state.positions)
    carried = min(state.equity_usd / rules.initial_margin, state.equity_usd * rules.max_leverage)
    return max(carried - gross, 0.0)
