"""Target weights into the orders of a decision.

Belongs here: what an order says of itself. How many shares a weight is, is :mod:`aegis.portfolio.rebalancing`; whether
an order may leave, :mod:`aegis.risk.pre_trade_gate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis.config_eval import ExecutionEval
from aegis.execution.account_state import AccountState
from aegis.execution.order_ids import client_order_id
from aegis.execution.orders import Order
from aegis.live_trading.session_inputs import SessionInputs
from aegis.portfolio.rebalancing import TargetWeight, whole_share_orders
from aegis.risk.reducing import are_reducing


def make_orders(
    account: AccountState,
    inputs: SessionInputs,
    targets: Sequence[TargetWeight],
    *,
    decision_id: str,
    execution: ExecutionEval,
    min_trade_weight: float,
    max_participation: float,
) -> tuple[Order, ...]:
    """Return the orders that lead from the shares held, and those at work, to the target weights.

    Parameters
    ----------
    account : AccountState
        After the close.
    inputs : SessionInputs
        Of the decision; a symbol without a trusted bar gets no order.
    targets : sequence of TargetWeight
        Wanted weights.
    decision_id : str
        The decision that they belong to.
    execution : ExecutionEval
        Algorithm.
    min_trade_weight : float
        Smaller changes are not ordered.
    max_participation : float
        Largest purchase, as a share of the median value traded in a session.
    """
    prices = inputs.market.closes_usd
    wanted = {target.symbol: target for target in targets if target.symbol in prices}
    at_work = [(s.order.symbol, s.remaining_shares) for s in account.open_orders if not s.is_final]
    held = {position.symbol: position.quantity_shares for position in account.positions}
    changes = whole_share_orders(
        {symbol: target.target_weight for symbol, target in wanted.items()},
        _expected(held, at_work, wanted),
        prices_usd=prices,
        equity_usd=account.equity_usd,
        min_trade_weight=min_trade_weight,
        max_increase_usd={
            symbol: volume * max_participation for symbol, volume in inputs.median_dollar_volume_usd.items()
        },
        lot_shares=inputs.lot_shares,
    )
    proposed = [(symbol, float(change)) for symbol, change in changes.items()]
    tickers = {**{position.symbol: position.ticker for position in account.positions}, **inputs.tickers}
    return tuple(
        Order(
            client_order_id=client_order_id(account.account, decision_id, symbol=symbol),
            decision_id=decision_id,
            account=account.account,
            session=inputs.session,
            execution_session=inputs.next_session,
            symbol=symbol,
            ticker=tickers[symbol],
            quantity_shares=change,
            algorithm=execution.default_algorithm,
            time_in_force="DAY",
            arrival_price_usd=prices[symbol],
            target_weight=wanted[symbol].target_weight,
            is_reducing=reduces,
            reason=_reason(wanted[symbol]),
        )
        for (symbol, change), reduces in zip(
            proposed, are_reducing(proposed, held, open_orders_shares=at_work), strict=True
        )
    )


def _expected(
    held: Mapping[str, float], at_work: Sequence[tuple[str, float]], wanted: Mapping[str, TargetWeight]
) -> dict[str, float]:
    """Return the shares that there will be once the orders at work have filled."""
    shares = dict(held)
    for symbol, remaining in at_work:
        shares[symbol] = shares.get(symbol, 0.0) + remaining
    return {symbol: quantity for symbol, quantity in shares.items() if symbol in wanted}


def _reason(target: TargetWeight) -> str:
    return f"{target.reason}: {target.current_weight:.2%} to {target.target_weight:.2%}"
