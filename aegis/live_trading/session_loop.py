"""One session of a book: book what became of yesterday's orders, value the book, decide, pass the gate, commit.

Belongs here: the order of these steps, and nothing of what each does. ``advance`` is a function of the carried state
and the session's inputs, so a decade in one run, in two halves or day by day gives the same rows.

Notes
-----
What is known when: fills of session D use D's bar and the orders decided after D-1's close. Everything decided in D
uses D's close and earlier, and is executed in D+1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.compliance.position_limits import Book
from aegis.compliance.pre_trade import OrderRules
from aegis.config import PortfolioSettings, RiskSettings
from aegis.config_eval import ExecutionEval
from aegis.drift.responses import DriftLimits, ResponseHistory
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.accounting import SessionPnl
from aegis.execution.decisions import CommittedDecision, Decision
from aegis.execution.order_ids import decision_id
from aegis.execution.order_management import DecisionLedger
from aegis.execution.orders import Order
from aegis.live_trading.account_books import AccountBooks
from aegis.live_trading.book_state import BookState
from aegis.live_trading.checked_actions import refuse_unchecked_actions
from aegis.live_trading.explained_sessions import explained
from aegis.live_trading.order_making import make_orders
from aegis.live_trading.quarantined_holdings import without_bars_of_a_quarantined_holding
from aegis.live_trading.session_inputs import SessionInputs
from aegis.live_trading.session_outcome import SessionOutcome
from aegis.live_trading.simulated_books import SimulatedBooks
from aegis.portfolio.optimizer import TargetWeightsOptimizer
from aegis.portfolio.rebalancing import TargetWeight, target_weights
from aegis.risk.drift_stop import breaker_under_drift
from aegis.risk.gate_inputs import GateInputs, GateRow, GateVerdict
from aegis.risk.limits import RiskLimits
from aegis.risk.pre_trade_gate import evaluate
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
    required_checks : mapping of str to str
        Data checks that must have passed for a session's raw bars, and the version of each.
    kill_switch_engaged : bool
        Whether a person has stopped the account.
    kill_switch_told : str
        Since when, by whom and why, for the gate's words.
    order_rules : OrderRules
        Restricted list and position limits of the account.
    drift_responses : ResponseHistory
        What drift led to, and for which sessions.
    code_version, config_hash : str
        Recorded with each decision.
    """

    book: str
    portfolio: PortfolioSettings
    risk: RiskSettings
    execution: ExecutionEval
    costs: CostModel
    required_checks: Mapping[str, str]
    kill_switch_engaged: bool
    code_version: str
    config_hash: str
    kill_switch_told: str = ""
    order_rules: OrderRules = field(default_factory=OrderRules)
    drift_responses: ResponseHistory = field(default_factory=ResponseHistory)


class SessionLoop:
    """Advances a book session by session.

    Parameters
    ----------
    policy : BookPolicy
        How the book decides.
    ledger : DecisionLedger
        Where decisions are committed and events recorded; flushed by the caller.
    books : AccountBooks, optional
        Of an account that is traded; simulated without.
    """

    def __init__(self, policy: BookPolicy, ledger: DecisionLedger, books: AccountBooks | None = None) -> None:
        self._policy = policy
        self._ledger = ledger
        rules = TradingRules(participation_rate=policy.execution.participation_rate)
        self._books = books or SimulatedBooks(ledger, policy.costs, rules)
        self._optimizer = TargetWeightsOptimizer(policy.portfolio)
        self._limits = RiskLimits.from_settings(policy.risk)

    def advance(self, state: BookState, inputs: SessionInputs, *, number: int = 1) -> SessionOutcome:
        """Carry the book through one session.

        Parameters
        ----------
        state : BookState
            After the previous session.
        inputs : SessionInputs
            Of this session.
        number : int
            Which decision of the session is asked for; without one, the newest that is committed, or the first.

        Raises
        ------
        QualityGateBlocked
            The session's corporate actions are blocked by a data check, or were not checked as they are now.
        ExecutionError
            The decision asked for is not the next one, or the account takes one in a session.
        AegisError
            A part of the chain refused what it was given; the journal and the lake are unchanged.
        """
        refuse_unchecked_actions(inputs)
        inputs = without_bars_of_a_quarantined_holding(inputs, state.account)
        booked = self._books.trade_session(state.account, inputs)
        account = booked.account
        pnl, breaks = explained(state.account, booked, market=inputs.market)
        drift = self._policy.drift_responses.limits(inputs.session)
        before = state.after_transfers(booked.transfers_usd, equity_usd=account.equity_usd)
        valued, scale, breaker_event = self._value(before, account, pnl, inputs, drift)
        decision_name, earlier = self._numbered(account.account, inputs.session, number)
        sent = tuple(order for decision in earlier for order in decision.approved)
        standing = self._books.standing(account, sent, decision_name, inputs=inputs)
        targets = self._targets(standing.account, inputs, min(scale, drift.exposure_scale))
        risk = self._risk(valued, pnl, targets, inputs, drift)
        orders = make_orders(
            standing.account,
            inputs,
            targets,
            decision_id=decision_name,
            execution=self._policy.execution,
            min_trade_weight=self._policy.portfolio.min_trade_weight,
            max_participation=self._max_participation,
        )
        seen = self._gate_inputs(
            replace(valued, account=standing.account), inputs, orders, targets, risk, decision_name
        )
        verdict = self._judge(replace(seen, reconciliation_clean=not breaks, reconciliation_told="; ".join(breaks)))
        decision = self._decision(account, inputs, orders, verdict)
        commit = self._ledger.commit(decision, at_utc=standing.decided_at_utc)
        account, unlike = self._books.submit(
            account, (*sent, *commit.orders), session=inputs.session, at_utc=inputs.decided_at_utc
        )
        return SessionOutcome(
            inputs=inputs,
            state=replace(valued, account=account),
            fills=booked.fills,
            pnl=pnl,
            targets=targets,
            risk=risk,
            breaker_event=breaker_event,
            verdict=verdict,
            decision=decision,
            commit=commit,
            conflicts=(*booked.conflicts, *([commit.conflict] if commit.conflict else []), *unlike),
            decided_at_utc=standing.decided_at_utc,
            earlier=earlier,
        )

    def _numbered(self, account: str, session: date, asked: int) -> tuple[str, tuple[CommittedDecision, ...]]:
        """Return the name of the decision to make, or to make again, and those of the session before it."""
        earlier: list[CommittedDecision] = []

        def name(number: int) -> str:
            return decision_id(account, self._policy.book, session=session, kind=DECISION_KIND, number=number)

        while (committed := self._ledger.committed(name(len(earlier) + 1))) is not None:
            earlier.append(committed)
        if asked > len(earlier) + 1:
            raise ExecutionError(
                f"account {account} {session}: decision number {asked} was asked for, and {len(earlier)} are "
                f"committed; the next one is number {len(earlier) + 1}"
            )
        number = max(asked, len(earlier), 1)
        return name(number), tuple(earlier[: number - 1])

    @property
    def _max_participation(self) -> float:
        return min(self._policy.execution.participation_rate, self._limits.max_participation_of_volume)

    def _value(
        self, state: BookState, account: AccountState, pnl: SessionPnl, inputs: SessionInputs, drift: DriftLimits
    ) -> tuple[BookState, float, str | None]:
        """Return the book valued at the close, the exposure that the breakers allow, and what they did."""
        equity = account.equity_usd
        breaker, scale, event = breaker_under_drift(
            state.breaker,
            inputs.session,
            equity_usd=equity,
            return_daily=pnl.return_daily,
            settings=self._policy.risk,
            stopped=drift.stopped,
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
        self,
        valued: BookState,
        pnl: SessionPnl,
        targets: Sequence[TargetWeight],
        inputs: SessionInputs,
        drift: DriftLimits,
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
            drift_scale=drift.exposure_scale,
        )

    def _gate_inputs(
        self,
        valued: BookState,
        inputs: SessionInputs,
        orders: tuple[Order, ...],
        targets: Sequence[TargetWeight],
        risk: RiskReport,
        decision: str,
    ) -> GateInputs:
        policy, account = self._policy, valued.account
        positions = {p.symbol: p.quantity_shares for p in account.positions}
        prices = {p.symbol: p.mark_price_usd for p in account.positions} | inputs.market.closes_usd
        book = Book(
            positions_shares=positions,
            at_work_shares=[(s.order.symbol, s.remaining_shares) for s in account.open_orders if not s.is_final],
            prices_usd=prices,
            median_dollar_volume_usd=inputs.median_dollar_volume_usd,
        )
        return GateInputs(
            session=inputs.session,
            account=account.account,
            decision_id=decision,
            orders=orders,
            equity_usd=account.equity_usd,
            positions_shares=positions,
            open_orders=account.open_orders,
            prices_usd=prices,
            target_weights={target.symbol: target.target_weight for target in targets},
            median_dollar_volume_usd=inputs.median_dollar_volume_usd,
            value_at_risk_95=math.inf if risk.value_at_risk_95 is None else risk.value_at_risk_95,
            check_results=inputs.checks,
            required_checks=policy.required_checks,
            pinned_content_hashes=inputs.content_hashes,
            outdated_tables=inputs.outdated_tables,
            input_session=inputs.session if inputs.market.rows else None,
            clock_session=inputs.clock_session,
            inputs_known_at_utc=inputs.inputs_known_at_utc,
            decision_time_utc=inputs.decided_at_utc,
            execution_opens_at_utc=inputs.next_open_utc,
            passed_by_session=None,
            kill_switch_engaged=policy.kill_switch_engaged,
            kill_switch_told=policy.kill_switch_told,
            reconciliation_clean=False,
            breaker=valued.breaker,
            limits=self._limits,
            vetoes=policy.order_rules.vetoes(
                orders, book, execution_session=inputs.next_session, decided_at_utc=inputs.decided_at_utc
            ),
        )

    def _judge(self, seen: GateInputs) -> GateVerdict:
        """Ask the gate; a decision that nothing else refuses must not come too late either.

        Asked second, so that a session refused for its data says the same when it is looked at again years later.
        """
        verdict = evaluate(seen)
        late = self._books.seen_late(seen)
        if late is seen or any(row.outcome == "refuse" for row in verdict.rows):
            return verdict
        return evaluate(late)

    def _decision(
        self, account: AccountState, inputs: SessionInputs, orders: tuple[Order, ...], verdict: GateVerdict
    ) -> Decision:
        return Decision(
            decision_id=verdict.rows[0].decision_id,
            account=account.account,
            session=inputs.session,
            orders=orders,
            refusals={refused.order.client_order_id: refused.reason for refused in verdict.refused},
            gate_rows=tuple(_gate_record(row) for row in verdict.rows),
            input_snapshot_id=inputs.snapshot_id,
            code_version=self._policy.code_version,
            config_hash=self._policy.config_hash,
        )


def _gate_record(row: GateRow) -> dict[str, Any]:
    return {
        name: getattr(row, name) for name in ("rule", "outcome", "observed", "threshold", "orders_refused", "detail")
    }
