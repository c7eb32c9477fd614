"""What is noticed between the schedules: final bars, a book that fell behind, drifted positions.

Belongs here: sensors that start work. Sensors that tell a person are in :mod:`aegis_sensors.alerting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import dagster as dg

from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.market_data.adjustments import total_return_panel
from aegis.portfolio.drift import drifted_weights, outside_band
from aegis_assets.table_assets import asset_key
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market
from aegis_sensors import facts, jobs
from aegis_sensors.requests import Due, NotDue, Window, session_to_trade
from aegis_sensors.schedules import ScheduleAnswer, final_window, request, request_trading

_MINUTE = 60
_QUARTER_HOUR = 900
_GRACE = timedelta(minutes=5)
"""After the hour of trading; the schedule asks first."""


def platform_sensors(market: Market, lake: LakeResource) -> Sequence[dg.SensorDefinition]:
    """Return the sensors of `market` that start work."""
    account = market.config.run.account
    band = market.config.monitoring.weight_drift_band
    trade_time = time.fromisoformat(market.config.schedules.trade_execution)

    @dg.sensor(
        job_name=jobs.FETCH_MARKET_DATA,
        minimum_interval_seconds=_MINUTE,
        description="Fetches the first session that is missing, as soon as its final bars exist: the one that the "
        "16:00 schedule was too early for, and each that was missed. Asks again, later and later, after a failure.",
    )
    def final_bars_exist(context: dg.SensorEvaluationContext) -> ScheduleAnswer:
        now = market.clock.now_utc()
        window = final_window(market, now)
        due = window.first_missing(facts.fetched(context.instance, lake, window.sessions))
        up_to_date = NotDue(f"session {window.sessions[-1]} has been fetched{_end_of(market)}")
        return request(context.instance, jobs.FETCH_MARKET_DATA, due or up_to_date, now)

    @dg.sensor(
        job_name=jobs.EXECUTE_TRADES,
        minimum_interval_seconds=_MINUTE,
        description="Runs the book of each session whose hour of trading passed without it: after a failure, or while "
        "nothing was switched on.",
    )
    def book_fell_behind(context: dg.SensorEvaluationContext) -> ScheduleAnswer:
        now = market.clock.now_utc()
        first, known_last = market.session_range()
        last = session_to_trade(market.calendar, now - _GRACE, trade_time)
        window = Window.until(market.calendar, first, min(last, known_last) if market.has_ended else last)
        done = facts.materialized(context.instance, asset_key(tables.BOOK_STATES), window.sessions)
        due = window.first_missing(done) or NotDue(f"the book of session {last} exists{_end_of(market)}")
        return request_trading(context.instance, lake, due, now)

    @dg.sensor(
        job_name=jobs.EXECUTE_TRADES,
        minimum_interval_seconds=_QUARTER_HOUR,
        description="Starts the next decision early when prices took the book out of its band around the targets.",
    )
    def positions_drifted(context: dg.SensorEvaluationContext) -> ScheduleAnswer:
        with lake.open() as store:
            decided = store.sessions(tables.TARGET_WEIGHTS, account=account)
            if not decided:
                return dg.SkipReason("nothing has been decided yet")
            session = market.calendar.next(decided[-1])
            if not facts.decidable(context.instance, [session]):
                return dg.SkipReason(
                    f"session {session}, which would move the weights of {decided[-1]}, is not there yet"
                )
            targets, weights = _targets_and_weights(
                store, account, decided[-1], session, known_at_utc=market.decision_times([session])[session]
            )
        names = outside_band(weights, targets, band=band)
        if not names:
            return dg.SkipReason(f"after {session} all weights are within {band:.2%} of the targets of {decided[-1]}")
        context.log.info("%s drifted by more than %.2f %% by %s", ", ".join(names), 100 * band, session)
        return request(context.instance, jobs.EXECUTE_TRADES, Due(session), market.clock.now_utc())

    return [final_bars_exist, book_fell_behind, positions_drifted]


def _end_of(market: Market) -> str:
    return f"; source {market.source.name} has no later one" if market.has_ended else ""


def _targets_and_weights(
    store: Lake, account: str, decided: date, session: date, *, known_at_utc: datetime
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what was wanted at the close of `decided`, and what it has become at the close of `session`.

    The orders of the decision count as filled at the prices they were decided at. Dividends count as price, which errs
    by their size.
    """
    own = {"account": account}
    rows = store.read(tables.TARGET_WEIGHTS, first=decided, last=decided, **own)
    orders = store.read(tables.ORDERS, first=decided, last=decided, **own)
    equity = store.read(tables.ACCOUNT_VALUES, first=decided, last=decided, **own)["equity_usd"].sum()
    bars = store.read(tables.DAILY_BARS, first=decided, last=session)
    actions = store.read(tables.CORPORATE_ACTIONS, first=decided, last=session)
    sent = orders[orders["gate_outcome"] == "approved"]
    traded = (sent["quantity_shares"] * sent["arrival_price_usd"] / equity).groupby(sent["symbol"]).sum()
    held = rows.set_index("symbol")["current_weight"].add(traded, fill_value=0.0)
    moves = total_return_panel(bars, actions, list(held.index), [decided, session], as_known_at=known_at_utc)[-1]
    targets = dict(zip(rows["symbol"], rows["target_weight"], strict=True))
    return targets, drifted_weights(held.to_dict(), dict(zip(held.index, moves.tolist(), strict=True)))
