"""One session of a book: fill yesterday's orders, value the book, decide, pass the gate, commit.

Belongs here: the order of these steps, and nothing of what each does. ``advance`` is a function of the carried state
and the session's inputs, so a decade in one run, in two halves or day by day gives the same rows.

Notes
-----
What is known when: fills of session D use D's bar and the orders decided after D-1's close. Everything decided in D
uses D's close and earlier, and is executed in D+1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aegis.backtesting.costs import CostModel
from aegis.backtesting.session_market import SessionMarket
from aegis.clock import FixedClock
from aegis.config import ExecutionEval, PortfolioSettings, RiskSettings
from aegis.execution.account_state import AccountState
from aegis.execution.accounting import SessionPnl, expected_quantities, session_pnl
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.decisions import CommitOutcome, Decision
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.order_management import DecisionLedger
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.lake.tables import RAW_BARS
from aegis.live_trading.book_state import BookState
from aegis.live_trading.reconciliation import reconcile
from aegis.live_trading.session_inputs import SessionInputs
from aegis.portfolio.optimizer import TargetWeightsOptimizer
from aegis.portfolio.rebalancing import TargetWeight, target_weights, whole_share_orders
from aegis.risk.breakers import next_breaker_state
from aegis.risk.gate_inputs import GateInputs, GateRow, GateVerdict
from aegis.risk.limits import RiskLimits
from aegis.risk.pre_trade_gate import evaluate
from aegis.risk.reducing import are_reducing
from aegis.risk.report import RiskReport, risk_report

DECISION_KIND = "rebalance"


@dataclass(frozen=True)
class BookPolicy:
    """How this book decides and trades; the same for every session of a run.

    Parameters
    ----------
    book : str
        Part of every decision id.
    portfolio, risk, execution : settings
        Weights, limits and breakers, execution algorithm.
    costs : CostModel
        Slippage and commission of simulated fills.
    required_checks : tuple of str
        Data checks that must have passed for a session's raw bars.
    kill_switch_engaged : bool
        Whether a person has stopped the account.
    code_version, config_hash : str
        Recorded with each decision.
    """

    book: str
    portfolio: PortfolioSettings
    risk: RiskSettings
    execution: ExecutionEval
    costs: CostModel
    required_checks: tuple[str, ...]
    kill_switch_engaged: bool
    code_version: str
    config_hash: str


@dataclass(frozen=True)
class SessionOutcome:
    """What happened in one session, and the state it leaves.

    Parameters
    ----------
    inputs : SessionInputs
        What was seen.
    state : BookState
        After the session, with the orders that wait for the next one.
    fills : tuple of Fill
        Executions in this session, of orders decided before.
    pnl : SessionPnl
        What changed equity.
    targets : tuple of TargetWeight
        Wanted and held weights.
    risk : RiskReport
        Risk of the wanted book.
    breaker_event : str or None
        What a breaker did in this session.
    verdict : GateVerdict
        The gate's rows.
    decision : Decision
        What was wanted, refused orders included.
    commit : CommitOutcome
        What is committed: the orders of the first commit, whatever was computed now.
    conflicts : tuple of str
        How this computation differs from what the journal holds.
    """

    inputs: SessionInputs
    state: BookState
    fills: tuple[Fill, ...]
    pnl: SessionPnl
    targets: tuple[TargetWeight, ...]
    risk: RiskReport
    breaker_event: str | None
    verdict: GateVerdict
    decision: Decision
    commit: CommitOutcome
    conflicts: tuple[str, ...]


class SessionLoop:
    """Advances a book session by session.

    Parameters
    ----------
    policy : BookPolicy
        How the book decides.
    ledger : DecisionLedger
        Where decisions are committed and events recorded; flushed by the caller.
    """

    def __init__(self, policy: BookPolicy, ledger: DecisionLedger) -> None:
        self._policy = policy
        self._ledger = ledger
        self._optimizer = TargetWeightsOptimizer(policy.portfolio)
        self._limits = RiskLimits.from_settings(policy.risk)

    def advance(self, state: BookState, inputs: SessionInputs) -> SessionOutcome:
        """Carry the book through one session.

        Parameters
        ----------
        state : BookState
            After the previous session.
        inputs : SessionInputs
            Of this session.

        Raises
        ------
        AegisError
            A part of the chain refused what it was given; the journal and the lake are unchanged.
        """
        broker = SimulatedBroker(
            state.account,
            costs=self._policy.costs,
            participation_rate=self._policy.execution.participation_rate,
            clock=FixedClock(inputs.decided_at_utc),
        )
        broker.begin_session(inputs.market)
        account = broker.end_session()
        events = [numbered.event for numbered in broker.events_since(0)]
        fills = tuple(event.fill for event in events if event.fill is not None)
        conflicts = list(self._ledger.record(events))
        pnl = session_pnl(state.account, account, market=inputs.market, fills=fills)
        reconciliation = reconcile(
            expected_quantities(state.account, market=inputs.market, fills=fills),
            {p.symbol: p.quantity_shares for p in broker.positions()},
            residual_usd=pnl.residual_usd,
            label=f"{account.account} {inputs.session}",
        )
        valued, scale, breaker_event = self._value(state, account, pnl, inputs)
        targets = self._targets(account, inputs, scale)
        risk = self._risk(valued, pnl, targets, inputs)
        orders = self._orders(account, inputs, targets)
        verdict = self._judge(valued, inputs, orders, targets, risk, is_reconciled=reconciliation.is_clean)
        decision = self._decision(account, inputs, orders, verdict)
        commit = self._ledger.commit(decision, at_utc=inputs.decided_at_utc)
        if commit.conflict:
            conflicts.append(commit.conflict)
        conflicts += self._ledger.record(_submit(broker, commit.orders, inputs))
        return SessionOutcome(
            inputs=inputs,
            state=replace(valued, account=broker.state()),
            fills=fills,
            pnl=pnl,
            targets=targets,
            risk=risk,
            breaker_event=breaker_event,
            verdict=verdict,
            decision=decision,
            commit=commit,
            conflicts=tuple(conflicts),
        )

    def _value(
        self, state: BookState, account: AccountState, pnl: SessionPnl, inputs: SessionInputs
    ) -> tuple[BookState, float, str | None]:
        """Return the book valued at the close, the exposure that the breakers allow, and what they did."""
        equity = account.equity_usd
        breaker, scale, event = next_breaker_state(
            state.breaker,
            inputs.session,
            equity_usd=equity,
            return_daily=pnl.return_daily,
            settings=self._policy.risk,
        )
        kept = self._policy.risk.value_at_risk_lookback_sessions + 1
        valued = BookState(
            account=account,
            breaker=breaker,
            peak_equity_usd=max(state.peak_equity_usd, equity),
            benchmark_level=state.benchmark_level * (1.0 + (inputs.benchmark_return or 0.0)),
            equity_history_usd=(*state.equity_history_usd, equity)[-kept:],
        )
        return valued, scale, event

    def _targets(self, account: AccountState, inputs: SessionInputs, scale: float) -> tuple[TargetWeight, ...]:
        equity = account.equity_usd
        if not inputs.market.rows:
            held = ((p.symbol, p.market_value_usd / equity) for p in account.positions)
            return tuple(TargetWeight(symbol, w, w, 0.0, "hold: session without trusted bars") for symbol, w in held)
        return tuple(
            target_weights(
                inputs.session,
                symbols=inputs.symbols,
                expected_returns=inputs.expected_returns,
                covariance=inputs.covariance,
                current_weights={p.symbol: p.market_value_usd / equity for p in account.positions},
                members=inputs.members,
                exposure_scale=scale,
                optimizer=self._optimizer,
            )
        )

    def _risk(
        self, valued: BookState, pnl: SessionPnl, targets: Sequence[TargetWeight], inputs: SessionInputs
    ) -> RiskReport:
        weights = {target.symbol: target.target_weight for target in targets}
        account = valued.account
        return risk_report(
            inputs.session,
            account.account,
            weights=[weights.pop(symbol, 0.0) for symbol in inputs.symbols],
            covariance=inputs.covariance,
            uncovered_weights=list(weights.values()),
            equity_history_usd=valued.equity_history_usd,
            drawdown=account.equity_usd / valued.peak_equity_usd - 1.0,
            return_daily=pnl.return_daily,
            breaker=valued.breaker,
            settings=self._policy.risk,
            known_at_utc=inputs.decided_at_utc,
        )

    def _judge(
        self,
        valued: BookState,
        inputs: SessionInputs,
        orders: tuple[Order, ...],
        targets: Sequence[TargetWeight],
        risk: RiskReport,
        *,
        is_reconciled: bool,
    ) -> GateVerdict:
        policy, account = self._policy, valued.account
        hashes = {} if inputs.raw_content_hash is None else {RAW_BARS.key: inputs.raw_content_hash}
        return evaluate(
            GateInputs(
                session=inputs.session,
                account=account.account,
                decision_id=self._decision_id(account.account, inputs),
                orders=orders,
                equity_usd=account.equity_usd,
                positions_shares={p.symbol: p.quantity_shares for p in account.positions},
                open_orders=account.open_orders,
                prices_usd={p.symbol: p.mark_price_usd for p in account.positions} | _closes(inputs.market),
                target_weights={target.symbol: target.target_weight for target in targets},
                median_dollar_volume_usd=inputs.median_dollar_volume_usd,
                value_at_risk_95=math.inf if risk.value_at_risk_95 is None else risk.value_at_risk_95,
                check_results=inputs.checks,
                required_checks=policy.required_checks,
                pinned_content_hashes=hashes,
                input_session=inputs.session if inputs.market.rows else None,
                clock_session=inputs.clock_session,
                inputs_known_at_utc=inputs.inputs_known_at_utc,
                decision_time_utc=inputs.decided_at_utc,
                kill_switch_engaged=policy.kill_switch_engaged,
                reconciliation_clean=is_reconciled,
                breaker=valued.breaker,
                limits=self._limits,
            )
        )

    def _decision(
        self, account: AccountState, inputs: SessionInputs, orders: tuple[Order, ...], verdict: GateVerdict
    ) -> Decision:
        return Decision(
            decision_id=self._decision_id(account.account, inputs),
            account=account.account,
            session=inputs.session,
            orders=orders,
            refusals={refused.order.client_order_id: refused.reason for refused in verdict.refused},
            gate_rows=tuple(_gate_record(row) for row in verdict.rows),
            input_snapshot_id=inputs.snapshot_id,
            code_version=self._policy.code_version,
            config_hash=self._policy.config_hash,
        )

    def _decision_id(self, account: str, inputs: SessionInputs) -> str:
        return decision_id(account, self._policy.book, session=inputs.session, kind=DECISION_KIND, number=1)

    def _orders(
        self, account: AccountState, inputs: SessionInputs, targets: Sequence[TargetWeight]
    ) -> tuple[Order, ...]:
        """Return the orders that lead from the shares held to the target weights, for symbols with a trusted bar."""
        prices = _closes(inputs.market)
        decision = self._decision_id(account.account, inputs)
        held = {p.symbol: p for p in account.positions}
        wanted = {target.symbol: target for target in targets if target.symbol in prices}
        changes = whole_share_orders(
            {symbol: target.target_weight for symbol, target in wanted.items()},
            {symbol: position.quantity_shares for symbol, position in held.items() if symbol in wanted},
            prices_usd=prices,
            equity_usd=account.equity_usd,
            min_trade_weight=self._policy.portfolio.min_trade_weight,
        )
        reducing = are_reducing(
            [(symbol, float(change)) for symbol, change in changes.items()],
            {symbol: position.quantity_shares for symbol, position in held.items()},
            open_orders_shares=[(s.order.symbol, s.remaining_shares) for s in account.open_orders if not s.is_final],
        )
        return tuple(
            Order(
                client_order_id=client_order_id(account.account, decision, symbol=symbol),
                decision_id=decision,
                account=account.account,
                session=inputs.session,
                execution_session=inputs.next_session,
                symbol=symbol,
                ticker=inputs.tickers.get(symbol) or held[symbol].ticker,
                quantity_shares=float(change),
                algorithm=self._policy.execution.default_algorithm,
                time_in_force="DAY",
                arrival_price_usd=prices[symbol],
                target_weight=wanted[symbol].target_weight,
                is_reducing=reduces,
                reason=_reason(wanted[symbol]),
            )
            for (symbol, change), reduces in zip(changes.items(), reducing, strict=True)
        )


def _closes(market: SessionMarket) -> dict[str, float]:
    closes = market.bars["close_usd"].tolist()
    return {symbol: closes[row] for symbol, row in market.rows.items()}


def _gate_record(row: GateRow) -> dict[str, Any]:
    return {
        name: getattr(row, name) for name in ("rule", "outcome", "observed", "threshold", "orders_refused", "detail")
    }


def _reason(target: TargetWeight) -> str:
    return f"{target.reason}: {target.current_weight:.2%} to {target.target_weight:.2%}"


def _submit(broker: SimulatedBroker, orders: Sequence[Order], inputs: SessionInputs) -> list[OrderEvent]:
    """Hand the committed orders to the broker and return what happened, submission first."""
    seen = len(broker.events_since(0))
    events: list[OrderEvent] = []
    for order in orders:
        broker.submit(order)
        answers = broker.events_since(seen)
        seen += len(answers)
        submitted: dict[str, Any] = {"client_order_id": order.client_order_id, "session": inputs.session}
        events.append(OrderEvent(kind=OrderEventKind.SUBMITTED, at_utc=inputs.decided_at_utc, **submitted))
        events += [answer.event for answer in answers]
    return events
