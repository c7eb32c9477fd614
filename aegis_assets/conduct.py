"""Layer 4: how the account conducted itself by the rules of law, and whether it still is what it was.

Belongs here: two assets rebuilt as a whole from the stored tables, and their checks. What is judged is in
:mod:`aegis.compliance.judgement` and :mod:`aegis.drift.watch`; which findings fail a check is a setting.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from aegis.compliance import judgement
from aegis.compliance.account_history import AccountTables, account_history
from aegis.compliance.judgement import AccountCloses, Judgement, judge, recent
from aegis.drift import watch
from aegis.drift.responses import DriftResponse, due_responses
from aegis.drift.series import FAMILIES, DriftTables, drift_series
from aegis.drift.watch import alarm_words, newest_alarms
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema
from aegis_assets.materialization import TableRows, publish
from aegis_assets.monitoring import CAUSE_METADATA
from aegis_assets.table_assets import GROUP_EXECUTION_AND_MONITORING, OWNER_SENTINEL, asset_key, asset_terms
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

CONDUCT_ASSET_KEYS = tuple(asset_key(table) for table in tables.CONDUCT_TABLES)

COMPLIANCE_CHECKS: Mapping[judgement.Family, tuple[str, str]] = {
    "wash_sales": ("no_recent_loss_is_a_wash_sale", "No loss of the newest sessions is disallowed by a wash sale."),
    "cash_account": ("purchases_are_paid_with_settled_cash", "Nothing was sold before the funds for it had settled."),
    "margin": ("margin_requirements_are_met", "Equity covers the initial and the maintenance margin."),
    "day_trading": ("day_trading_keeps_to_its_rule", "Day trades keep to the rule that binds the account that day."),
}
"""Check and its meaning, by family of findings."""
DRIFT_CHECKS: Mapping[str, tuple[str, str]] = {
    "features": ("features_keep_their_distribution", "No feature's level over the universe has shifted."),
    "signals": ("signals_keep_their_distribution", "No strategy is held more or less strongly than before."),
    "performance": ("returns_stay_within_expectation", "Results are not below the band of those before."),
    "slippage": ("slippage_stays_at_its_level", "Fills do not cost more than before."),
    "fill_rate": ("fill_rates_stay_at_their_level", "No smaller share of the orders is filled than before."),
    "data": ("deliveries_are_like_those_before", "No newest delivery is unlike all before it."),
}
"""Check and its meaning, by family of measures."""

_TOLD = 3
_JUDGED = (
    tables.FILLS,
    tables.POSITIONS,
    tables.ACCOUNT_VALUES,
    tables.CORPORATE_ACTIONS,
    tables.DAILY_BARS,
)
_WATCHED = {
    "daily_features": tables.DAILY_FEATURES,
    "strategy_signals": tables.STRATEGY_SIGNALS,
    "ensemble_signals": tables.ENSEMBLE_SIGNALS,
    "daily_bars": tables.DAILY_BARS,
    "daily_pnl": tables.DAILY_PNL,
    "orders": tables.ORDERS,
    "fills": tables.FILLS,
}


def conduct_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the findings of compliance and the measures of drift."""

    @dg.asset(
        **asset_terms(tables.COMPLIANCE_FINDINGS),
        deps=[asset_key(table) for table in _JUDGED],
        check_specs=_specs(tables.COMPLIANCE_FINDINGS, COMPLIANCE_CHECKS.values()),
        group_name=GROUP_EXECUTION_AND_MONITORING,
        owners=[OWNER_SENTINEL],
        kinds={"python", "ducklake"},
        code_version="1",
    )
    def compliance_findings(
        context: dg.AssetExecutionContext,
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with lake.open() as store:
            snapshot = store.snapshot_id()
            judged, sessions = _judged(store, market, desk, snapshot)
            shown = {"input_snapshot_id": snapshot, "not_judged": "; ".join(judged.not_judged) or "nothing"}
            rows = [TableRows(tables.COMPLIANCE_FINDINGS, judged.findings, desk.account, metadata=shown)]
            checks = list(_compliance_checks(judged.findings, sessions, market))
            yield from publish(context, store, rows, replaced=_whole(market), check_results=checks)

    @dg.asset(
        **asset_terms(tables.DRIFT_MEASURES),
        deps=[asset_key(table) for table in _WATCHED.values()],
        check_specs=_specs(tables.DRIFT_MEASURES, DRIFT_CHECKS.values()),
        group_name=GROUP_EXECUTION_AND_MONITORING,
        owners=[OWNER_SENTINEL],
        kinds={"python", "scipy"},
        code_version="1",
    )
    def drift_measures(
        context: dg.AssetExecutionContext,
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with lake.open() as store:
            snapshot = store.snapshot_id()
            read = {name: _rows(store, table, desk.account, snapshot) for name, table in _WATCHED.items()}
            series, settings = drift_series(DriftTables(**read)), market.config.drift
            measures = watch.drift_measures(series, account=desk.account, settings=settings)
            alarms = newest_alarms(measures)
            responses = _respond(alarms, measures, market, desk)
            shown = {"input_snapshot_id": snapshot, "alarms": len(alarms), "new_responses": len(responses)}
            rows = [TableRows(tables.DRIFT_MEASURES, measures, desk.account, metadata=shown)]
            checks = list(_drift_checks(alarms, measures, market))
            yield from publish(context, store, rows, replaced=_whole(market), check_results=checks)

    return [compliance_findings, drift_measures]


def _specs(table: TableSchema, checks: Iterable[tuple[str, str]]) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=asset_key(table), description=meaning) for name, meaning in checks]


def _whole(market: Market) -> tuple[date, date]:
    return market.session_range()[0], market.calendar.last_known_session()


def _rows(store: Lake, table: TableSchema, account: str, snapshot: int, **bounds: date) -> pd.DataFrame:
    own = {"account": account} if "account" in table.column_names else {}
    return store.read(table, snapshot_id=snapshot, **own, **bounds)


def _judged(store: Lake, market: Market, desk: Desk, snapshot: int) -> tuple[Judgement, tuple[date, ...]]:
    """Return what the rules find, and the sessions that they looked at."""
    read = {table.name: _rows(store, table, desk.account, snapshot) for table in _JUDGED[:4]}
    actions, values = read["corporate_actions"], read["account_values"]
    ends = actions.loc[actions["action"].isin(["delisting", "merger"]), "session"]
    bounds = {"first": ends.min().date(), "last": ends.max().date()} if len(ends) else {"last": date.min}
    bars = _rows(store, tables.DAILY_BARS, desk.account, snapshot, **bounds)
    cash, calendar = market.config.run.initial_cash_usd, market.calendar
    history = account_history(
        AccountTables(**read, delisting_bars=bars), account=desk.account, initial_cash_usd=cash, calendar=calendar
    )
    days = values["session"].dt.date.tolist()
    closes = AccountCloses(
        equity_usd=dict(zip(days, values["equity_usd"].tolist(), strict=True)),
        cash_usd=dict(zip(days, values["cash_usd"].tolist(), strict=True)),
    )
    settings = market.config.compliance
    return judge(history, closes, settings=settings, initial_cash_usd=cash, calendar=calendar), history.sessions


def _compliance_checks(
    findings: pd.DataFrame, sessions: Sequence[date], market: Market
) -> Iterator[dg.AssetCheckResult]:
    settings = market.config.compliance
    for family, (name, _) in COMPLIANCE_CHECKS.items():
        told = recent(findings, family, sessions=sessions, told_sessions=settings.told_sessions)
        severity, newest = getattr(settings.severities, family), told.tail(1).to_dict("records")
        yield _check(
            tables.COMPLIANCE_FINDINGS,
            name,
            found=told["detail"].tolist()[::-1],
            severity=severity,
            cause="; ".join(
                f"{row['kind']} {row['symbol'] or row['account']} {row['session']:%Y-%m-%d}" for row in newest
            ),
            in_history=int((findings["family"] == family).sum()),
        )


def _drift_checks(alarms: pd.DataFrame, measures: pd.DataFrame, market: Market) -> Iterator[dg.AssetCheckResult]:
    words = alarm_words(alarms)
    for family, (name, _) in DRIFT_CHECKS.items():
        of_family = alarms[alarms["family"] == family]
        yield _check(
            tables.DRIFT_MEASURES,
            name,
            found=[detail for own, detail in words if own == family],
            severity=market.config.drift.family(family).severity,
            cause=", ".join(sorted(set(of_family["series"]))),
            in_history=int((measures["is_alarm"] & (measures["family"] == family)).sum()),
        )


def _check(
    table: TableSchema, name: str, *, found: Sequence[str], severity: str, cause: str, in_history: int
) -> dg.AssetCheckResult:
    """Return a check's result; what is only noted passes, and is told all the same."""
    passed = not found or severity == "note"
    return dg.AssetCheckResult(
        asset_key=asset_key(table),
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if severity == "error" else dg.AssetCheckSeverity.WARN,
        metadata={
            "observed": len(found),
            "threshold": 0,
            "in_history": in_history,
            "detail": "; ".join(found[:_TOLD]) or "nothing found",
            **({} if passed else {CAUSE_METADATA: cause}),
        },
    )


def _respond(alarms: pd.DataFrame, measures: pd.DataFrame, market: Market, desk: Desk) -> list[DriftResponse]:
    """Record what the newest alarms lead to by the settings, and return it."""
    settings = market.config.drift
    measured = {name: stamp.date() for name, stamp in measures.groupby("family")["session"].max().items()}
    if alarms.empty:
        return []
    due = due_responses(
        alarm_words(alarms),
        desk.drift_responses.history(),
        actions={family: settings.family(family).action for family in FAMILIES},
        shrink_exposure=settings.shrink_exposure,
        measured=measured,
        rested_since=market.calendar.offset(max(measured.values()), -settings.rest_sessions),
        at_utc=market.clock.now_utc(),
    )
    for response in due:
        desk.drift_responses.engage(response)
    return due
