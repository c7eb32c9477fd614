"""A rebalance as the assets of an evening commit it, without the evening: so many shares of each symbol."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from aegis.config import AegisConfig
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.order_management import commit_decision
from aegis.execution.orders import Algorithm, Order
from aegis.workspace import Workspace


def commit_rebalance(
    config: AegisConfig,
    shares: Mapping[str, float],
    prices_usd: Mapping[str, float],
    *,
    decided: date,
    traded: date,
    algorithm: Algorithm,
    at_utc: datetime,
    number: int = 1,
) -> None:
    """Commit a decision of the configured account to its journal.

    Parameters
    ----------
    config : AegisConfig
        Account, book and workspace.
    shares, prices_usd : mapping of str to float
        Signed quantities and arrival prices by permanent symbol, under which it trades too.
    decided, traded : date
        Session of the decision, and the one in which it is executed.
    algorithm : str
        Works all of its orders.
    at_utc : datetime
        When it is committed; aware UTC.
    number : int
        Of the decision in its session.
    """
    account = config.run.account
    name = decision_id(account, config.run.book, session=decided, kind="rebalance", number=number)
    orders = tuple(
        Order(
            client_order_id=client_order_id(account, name, symbol=symbol),
            decision_id=name,
            account=account,
            session=decided,
            execution_session=traded,
            symbol=symbol,
            ticker=symbol,
            quantity_shares=quantity,
            algorithm=algorithm,
            time_in_force="DAY",
            arrival_price_usd=prices_usd[symbol],
            target_weight=0.0,
            is_reducing=quantity < 0,
            reason="rebalanced",
        )
        for symbol, quantity in shares.items()
    )
    decision = Decision(
        decision_id=name,
        account=account,
        session=decided,
        orders=orders,
        refusals={},
        gate_rows=(),
        input_snapshot_id=0,
        code_version="test",
        config_hash="test",
    )
    with Journal.open(Workspace.of(config).journal(account), account=account) as journal:
        commit_decision(journal, decision, at_utc=at_utc)
