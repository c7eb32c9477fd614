"""Layers 3 and 4: target weights, risk, gate, orders, fills, positions and P&L of one account.

Belongs here: one multi-asset that publishes the session loop (:mod:`aegis.live_trading.session_loop`). The tables
depend on each other's past, and Dagster allows no cycle, so they are computed together, session by session, and only
the carried state depends on its own previous partition. The link from orders of D-1 to fills of D is in the journal.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from aegis.errors import LakeError
from aegis.execution.order_management import DecisionLedger
from aegis.features.daily import LOOKBACK_SESSIONS
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.provenance import Provenance, outdated_tables
from aegis.lake.schema import TableSchema
from aegis.live_trading.book_state import BookState, state_hash
from aegis.live_trading.book_tables import book_tables
from aegis.live_trading.journal_audit import head_text
from aegis.live_trading.kill_switch import HeldSwitch
from aegis.live_trading.session_inputs import InputHistory, InputTables
from aegis.live_trading.session_outcome import SessionOutcome
from aegis.live_trading.trader import restore_state, run_sessions
from aegis.market_data.adjustments import PREVIOUS_CLOSE_LOOKBACK
from aegis.market_data.benchmark import benchmark_returns
from aegis.market_data.universe import lookback_sessions as universe_lookback_sessions
from aegis.portfolio.covariance import lookback_sessions as covariance_lookback_sessions
from aegis_assets.materialization import TableRows, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.pictures import book_pictures
from aegis_assets.table_assets import (
    GROUP_EXECUTION_AND_MONITORING,
    GROUP_PORTFOLIO_AND_RISK,
    OWNER_EXECUTOR,
    OWNER_SENTINEL,
    OWNER_STRATEGIST,
    asset_key,
    definition_metadata,
    description,
)
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

BOOK_ASSET_KEYS = tuple(asset_key(table) for table in tables.BOOK_TABLES)
COMMITTED_ORDERS_CHECK = "orders_match_committed_decisions"
CONSERVATION_CHECK = "pnl_explains_equity_change"
GATE_CHECK = "no_session_is_blocked"

_RESIDUAL_TOLERANCE_USD = 1e-6
_DECISION_INPUTS = (tables.ENSEMBLE_SIGNALS, tables.COVARIANCES, tables.UNIVERSE)
_RESEARCH = (tables.ADJUSTMENT_FACTORS, tables.UNIVERSE, *tables.RESEARCH_TABLES)
"""What a decision rests on besides bars; in the order in which it is computed."""
_MARKET_INPUTS = (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.CHECK_RESULTS, tables.RAW_BARS)
_PLACES: dict[str, tuple[str, str, tuple[TableSchema, ...]]] = {
    tables.FILLS.key: (
        GROUP_EXECUTION_AND_MONITORING,
        OWNER_EXECUTOR,
        (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.QUARANTINED_BARS),
    ),
    tables.POSITIONS.key: (GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, (tables.FILLS,)),
    tables.ACCOUNT_VALUES.key: (GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, (tables.POSITIONS,)),
    tables.DAILY_PNL.key: (GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, (tables.ACCOUNT_VALUES,)),
    tables.TARGET_WEIGHTS.key: (GROUP_PORTFOLIO_AND_RISK, OWNER_STRATEGIST, (*_DECISION_INPUTS, tables.ACCOUNT_VALUES)),
    tables.RISK_REPORT.key: (GROUP_PORTFOLIO_AND_RISK, OWNER_SENTINEL, (tables.TARGET_WEIGHTS, tables.COVARIANCES)),
    tables.PRE_TRADE_GATE.key: (
        GROUP_PORTFOLIO_AND_RISK,
        OWNER_SENTINEL,
        (
            tables.TARGET_WEIGHTS,
            tables.RISK_REPORT,
            tables.CHECK_RESULTS,
            tables.QUARANTINED_BARS,
            tables.RAW_BARS,
            tables.CORPORATE_ACTIONS,
            tables.ADJUSTMENT_FACTORS,
        ),
    ),
    tables.ORDERS.key: (GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, (tables.PRE_TRADE_GATE,)),
    tables.BOOK_STATES.key: (GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, (tables.ORDERS, tables.POSITIONS)),
}


class BookConfig(dg.Config):
    """What the launchpad can ask of the book."""

    decision_number: int = Field(
        1,
        ge=1,
        description="A later decision of the last session asked for, by an account that is traded: 2 is made on what "
        "the first has come to by now, and adds to it. 1 decides once, or finds what is committed.",
    )


def book_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return the book's multi-asset, partitioned by `partitions`."""

    @dg.multi_asset(
        name="book",
        specs=[_spec(table) for table in tables.BOOK_TABLES],
        check_specs=[
            dg.AssetCheckSpec(
                COMMITTED_ORDERS_CHECK,
                asset=asset_key(tables.ORDERS),
                description="Recomputing a committed decision gives the committed orders; if not, those stand.",
            ),
            dg.AssetCheckSpec(
                CONSERVATION_CHECK,
                asset=asset_key(tables.DAILY_PNL),
                description="Price, trading, dividends, interest, slippage and commission add up to the equity change.",
            ),
            dg.AssetCheckSpec(
                GATE_CHECK,
                asset=asset_key(tables.PRE_TRADE_GATE),
                description="The gate refused no decision as a whole. A refused session trades nothing.",
            ),
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=False,
    )
    def book(
        context: dg.AssetExecutionContext,
        config: BookConfig,
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        requested, begins = requested_sessions(context), desk.first_session(market)
        sessions = [session for session in requested if session >= begins]
        if not sessions:
            yield from _nothing_to_book(context, lake, desk, requested, begins)
            return
        with lake.open() as store, _ledger(store, desk, sessions) as ledger:
            switch = HeldSwitch(desk.kill_switch)
            history = InputHistory(
                read_inputs(store, market, sessions),
                calendar=market.calendar,
                decision_times=market.decision_times(sessions),
                vendor_delay=market.config.market_data.vendor_delay,
            )
            state = _previous_state(store, market, desk, sessions[0])
            policy = desk.policy(switch.status)
            books, number = desk.books(ledger, market), config.decision_number
            outcomes = run_sessions(
                state, history, sessions, policy=policy, ledger=ledger, kill_switch=switch, books=books, number=number
            )
            _refuse_a_break(store, desk, outcomes[-1])
            frames = book_tables(outcomes)
            pictures = book_pictures(frames, store.read(tables.ACCOUNT_VALUES, last=sessions[0], account=desk.account))
            rows = [TableRows(t, frame, desk.account, pictures.get(t.key)) for t, frame in frames.items()]
            switch.require_unmoved()
            ledger.flush()
            checks, head = _checks(outcomes), head_text(desk.account, ledger.head())
            yield from publish(context, store, rows, sessions=requested, check_results=checks, journal_head=head)

    return [book]


def _nothing_to_book(
    context: dg.AssetExecutionContext, lake: LakeResource, desk: Desk, sessions: Sequence[date], begins: date
) -> Iterator[dg.MaterializeResult[Any]]:
    """Publish sessions before an account that is traded begins: no rows, whatever the market did."""
    told = f"account {desk.account} begins with session {begins}"
    rows = [TableRows(table, table.empty(), desk.account) for table in tables.BOOK_TABLES]
    checks = _check_results(told, told, told)
    with lake.open() as store:
        _refuse_another_beginning(store, desk, begins)
        yield from publish(
            context, store, rows, sessions=sessions, check_results=checks, metadata={"nothing_to_book": told}
        )


def _ledger(store: Lake, desk: Desk, sessions: Sequence[date]) -> AbstractContextManager[DecisionLedger]:
    """Return the journal's page for `sessions`, once the journal is seen to hold the past that the lake was told of."""
    published, last_booked = desk.published_past(store)
    return desk.ledger(sessions[0], sessions[-1], published=published, last_booked=last_booked)


def _spec(table: TableSchema) -> dg.AssetSpec:
    group, owner, upstream = _PLACES[table.key]
    deps: list[dg.AssetDep] = [dg.AssetDep(asset_key(other)) for other in upstream]
    if table is tables.BOOK_STATES:
        previous = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        deps.append(dg.AssetDep(asset_key(table), partition_mapping=previous))
    return dg.AssetSpec(
        asset_key(table),
        deps=deps,
        description=description(table),
        metadata=definition_metadata(table),
        group_name=group,
        owners=[owner],
        kinds={"python", "ducklake"},
        code_version="1",
    )


def read_inputs(store: Lake, market: Market, sessions: Sequence[date]) -> InputTables:
    """Read everything that the decisions of `sessions` may see, at one snapshot."""
    first, last = sessions[0], sessions[-1]
    before, snapshot = first - PREVIOUS_CLOSE_LOOKBACK, store.snapshot_id()

    def rows(table: TableSchema, start: date = first) -> Any:
        return store.read(table, first=start, last=last, snapshot_id=snapshot)

    bars, actions = rows(tables.DAILY_BARS, before), rows(tables.CORPORATE_ACTIONS, before)
    decided, ex_in_range = bars["session"].dt.date >= first, actions["session"].dt.date >= first
    return InputTables(
        bars=bars[decided],
        actions=actions[ex_in_range],
        universe=rows(tables.UNIVERSE),
        ensemble=rows(tables.ENSEMBLE_SIGNALS),
        covariances=rows(tables.COVARIANCES),
        checks=rows(tables.CHECK_RESULTS),
        quarantined=rows(tables.QUARANTINED_BARS),
        content_hashes={
            tables.RAW_BARS.key: tables.RAW_BARS.content_hashes(rows(tables.RAW_BARS)),
            tables.CORPORATE_ACTIONS.key: tables.CORPORATE_ACTIONS.content_hashes(actions[ex_in_range]),
        },
        outdated_tables=_outdated(store, market, sessions),
        benchmark_returns=benchmark_returns(bars, actions, market.source.benchmark_symbol, first=first),
        snapshot_id=snapshot,
    )


def _outdated(store: Lake, market: Market, sessions: Sequence[date]) -> dict[date, tuple[str, ...]]:
    """Return for each session the tables that are older than the bars they look back on."""
    settings = market.config
    reach = max(
        LOOKBACK_SESSIONS,
        covariance_lookback_sessions(settings.portfolio),
        universe_lookback_sessions(settings.universe),
    )
    windows = {session: market.calendar.offset(session, -reach) for session in sessions}
    return outdated_tables(Provenance(store.snapshots()), _RESEARCH, tables.DAILY_BARS, windows=windows)


def _previous_state(store: Lake, market: Market, desk: Desk, first: date) -> BookState:
    """Return the state that session `first` starts from: the opening one for the first session of the book only."""
    if first == desk.first_session(market):
        _refuse_another_beginning(store, desk, first)
        return desk.opening_state()
    previous = market.calendar.previous(first)
    rows = store.read(tables.BOOK_STATES, first=previous, last=previous, account=desk.account)
    if rows.empty:
        raise LakeError(
            f"account {desk.account}: the book of session {previous} does not exist, so {first} has nothing to start "
            f"from; materialize the book from the first missing session on (`make run` does)"
        )
    return restore_state(rows["state_json"].iloc[0], rows["state_hash"].iloc[0])


def _refuse_another_beginning(store: Lake, desk: Desk, first: date) -> None:
    booked = store.sessions(tables.BOOK_STATES, account=desk.account)
    if booked and booked[0] != first:
        raise LakeError(
            f"account {desk.account}: its book in workspace {desk.workspace.name} begins with session {booked[0]}, and "
            f"this run would begin another with {first}; set {desk.beginning_setting} to {booked[0]}, or use a "
            "workspace of its own (run.workspace)"
        )


def _refuse_a_break(store: Lake, desk: Desk, last: SessionOutcome) -> None:
    """Refuse an end that later sessions did not begin with: they would rest on a state that exists no more."""
    session = last.inputs.session
    booked = store.sessions(tables.BOOK_STATES, account=desk.account)
    if not booked or booked[-1] <= session:
        return
    rows = store.read(tables.BOOK_STATES, first=session, last=session, account=desk.account)
    if rows.empty or rows["state_hash"].iloc[0] != state_hash(last.state.to_json()):
        raise LakeError(
            f"account {desk.account}: session {session} now ends with another state than the one that the sessions up "
            f"to {booked[-1]} were booked on; nothing was written. Materialize the book up to {booked[-1]} in one run "
            "(`make run FROM=<the first changed session>`)"
        )


def _checks(outcomes: Sequence[SessionOutcome]) -> list[dg.AssetCheckResult]:
    conflicts = [(o.inputs.session, text) for o in outcomes for text in o.conflicts]
    residual = max(abs(o.pnl.residual_usd) for o in outcomes)
    refused = [(o.inputs.session, o.decision.refusing_rules) for o in outcomes if o.commit.is_refused]
    return _check_results(
        "; ".join(f"{session}: {text}" for session, text in conflicts[:3]),
        "largest absolute residual, USD",
        "; ".join(f"{session}: {', '.join(rules)}" for session, rules in refused[:3]),
        conflicts=len(conflicts),
        residual_usd=residual,
        refused=len(refused),
    )


def _check_results(
    of_conflicts: str,
    of_residual: str,
    of_refusals: str,
    *,
    conflicts: int = 0,
    residual_usd: float = 0.0,
    refused: int = 0,
) -> list[dg.AssetCheckResult]:
    return [
        _check(tables.ORDERS, COMMITTED_ORDERS_CHECK, conflicts, 0, of_conflicts),
        _check(tables.DAILY_PNL, CONSERVATION_CHECK, residual_usd, _RESIDUAL_TOLERANCE_USD, of_residual),
        _check(tables.PRE_TRADE_GATE, GATE_CHECK, refused, 0, of_refusals),
    ]


def _check(table: TableSchema, name: str, observed: float, threshold: float, detail: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_key(table),
        check_name=name,
        passed=bool(observed <= threshold),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"observed": observed, "threshold": threshold, "detail": detail or "nothing found"},
    )
