"""How orders, executions, commissions and holdings stand in the gateway's messages, at protocol 170 and later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.integration.vendors.tws.wire import Contract, Fields, ToClient, message

NEW_YORK = ZoneInfo("America/New_York")
UNSET_DOUBLE = "1.7976931348623157E308"
UNSOLICITED = -1
"""In place of a request's id: the gateway tells this without having been asked."""


_OPEN_ORDER = """
order_id CONTRACT side shares type limit stop time_in_force oca_group account open_close origin reference client_id
permanent_id outside_hours hidden discretionary_amount good_after deprecated advisor_group advisor_method
advisor_percentage advisor_profile model good_till rule_80a percent_offset settling_firm short_slot short_location
exempt_code auction starting_price reference_price delta range_low range_high display_size block sweep all_or_none
least_quantity oca_type e_trade_only firm_quote_only best_price_cap parent_id trigger_method volatility
volatility_type neutral_type neutral_price neutral_contract neutral_settling neutral_account neutral_intent
neutral_open_close neutral_short neutral_slot neutral_location continuous_update reference_type trail_stop
trail_percent basis_points basis_type legs_text legs leg_prices routing_parameters scale_first scale_next
scale_increment hedge no_smart_routing clearing_account clearing_intent not_held delta_neutral algorithm solicited
what_if status margin_1 margin_2 margin_3 margin_4 margin_5 margin_6 margin_7 margin_8 margin_9 commission
least_commission most_commission commission_currency warning random_size random_price conditions adjusted_type
trigger_price adjusted_trail_stop limit_offset adjusted_stop adjusted_stop_limit adjusted_trail adjusted_trail_unit
soft_dollar_name soft_dollar_value soft_dollar_text cash_quantity no_automatic_hedge container discretionary_limit
price_management duration after_trading cancel_with_parent least_trade least_compete compete_offset mid_whole mid_half
"""
_COMPLETED_ORDER = """
CONTRACT side shares type limit stop time_in_force oca_group account open_close origin reference permanent_id
outside_hours hidden discretionary_amount good_after advisor_group advisor_method advisor_percentage advisor_profile
model good_till rule_80a percent_offset settling_firm short_slot short_location exempt_code starting_price
reference_price delta range_low range_high display_size sweep all_or_none least_quantity oca_type trigger_method
volatility volatility_type neutral_type neutral_price neutral_contract neutral_short neutral_slot neutral_location
continuous_update reference_type trail_stop trail_percent legs_text legs leg_prices routing_parameters scale_first
scale_next scale_increment hedge clearing_account clearing_intent not_held delta_neutral algorithm solicited status
random_size random_price conditions adjusted_trail_stop limit_offset cash_quantity no_automatic_hedge container
cancel_date filled futures_contract cancel_with_parent shareholder imbalance_only route_to_best parent_permanent_id
completed_time completed_status least_trade least_compete compete_offset mid_whole mid_half
"""
"""Names of the fields in their order, at protocol 176."""
_DEFAULTS = {
    **dict.fromkeys(
        ("origin", "outside_hours", "hidden", "short_slot", "auction", "block", "sweep", "all_or_none", "e_trade_only",
         "firm_quote_only", "parent_id", "trigger_method", "volatility_type", "neutral_contract", "neutral_short",
         "neutral_slot", "continuous_update", "reference_type", "legs", "leg_prices", "routing_parameters",
         "no_smart_routing", "not_held", "delta_neutral", "solicited", "what_if", "random_size", "random_price",
         "conditions", "adjusted_trail_unit", "no_automatic_hedge", "container", "discretionary_limit",
         "price_management", "cancel_with_parent", "discretionary_amount"),
        "0",
    ),
    **{f"margin_{number}": UNSET_DOUBLE for number in range(1, 10)},
    "exempt_code": "-1", "oca_type": "3", "neutral_type": "None", "neutral_open_close": "?", "clearing_intent": "IB",
    "adjusted_type": "None",
}  # fmt: skip


@dataclass(frozen=True)
class Execution:
    """One fill of an order."""

    execution_id: str
    at: datetime
    shares: float
    price: float
    cumulative_shares: float
    average_price: float
    commission_usd: float


@dataclass
class Order:
    """An order as the broker has it."""

    order_id: int
    client_id: int
    permanent_id: int
    contract: Contract
    side: str
    shares: float
    order_type: str
    limit_price: str
    stop_price: str
    time_in_force: str
    reference: str
    account: str
    parent_id: int = 0
    status: str = "Submitted"
    reason: str = ""
    executions: list[Execution] = field(default_factory=list)

    @property
    def filled(self) -> float:
        return sum(execution.shares for execution in self.executions)

    @property
    def remaining(self) -> float:
        return self.shares - self.filled

    @property
    def average_price(self) -> float:
        paid = sum(execution.shares * execution.price for execution in self.executions)
        return paid / self.filled if self.filled else 0.0

    @property
    def is_open(self) -> bool:
        return self.status in {"PreSubmitted", "Submitted"}


def contract_fields(contract: Contract, *, exchange: str = "SMART") -> tuple[object, ...]:
    """Return the eleven fields in which the gateway names a stock."""
    return (
        contract.con_id, contract.symbol, contract.security_type, "", "0", "?", "", exchange, contract.currency,
        contract.symbol, contract.trading_class,
    )  # fmt: skip


def open_order(order: Order) -> Fields:
    """Return the message that describes an open order."""
    told = {"order_id": order.order_id, "client_id": order.client_id, "parent_id": order.parent_id, **_terms(order)}
    return message(ToClient.OPEN_ORDER, *_laid_out(_OPEN_ORDER, order.contract, told))


def completed_order(order: Order, at: datetime) -> Fields:
    """Return the message that describes an order that is over; it does not say whose order id it had."""
    told = {
        "filled": order.filled,
        "completed_time": f"{at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} America/New_York",
        "completed_status": order.reason or order.status,
        **_terms(order),
    }
    return message(ToClient.COMPLETED_ORDER, *_laid_out(_COMPLETED_ORDER, order.contract, told))


def _terms(order: Order) -> dict[str, object]:
    return {
        "side": order.side, "shares": order.shares, "type": order.order_type, "limit": order.limit_price,
        "stop": order.stop_price, "time_in_force": order.time_in_force, "account": order.account,
        "reference": order.reference, "permanent_id": order.permanent_id, "status": order.status,
    }  # fmt: skip


def _laid_out(layout: str, contract: Contract, told: Mapping[str, object]) -> list[object]:
    """Return the values in the order of their names; what is not told stands empty or as the gateway's default."""
    names = layout.split()
    assert told.keys() <= set(names)
    values: list[object] = []
    for name in names:
        values += contract_fields(contract) if name == "CONTRACT" else [told.get(name, _DEFAULTS.get(name, ""))]
    return values


def order_status(order: Order) -> Fields:
    """Return the message that says how far an order is."""
    last = order.executions[-1].price if order.executions else 0.0
    return message(
        ToClient.ORDER_STATUS, order.order_id, order.status, order.filled, order.remaining, order.average_price,
        order.permanent_id, order.parent_id, last, order.client_id, "", "0",
    )  # fmt: skip


def execution_details(request_id: int, order: Order, execution: Execution) -> Fields:
    """Return the message of one fill."""
    at = f"{execution.at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} America/New_York"
    return message(
        ToClient.EXECUTION, request_id, order.order_id, *contract_fields(order.contract, exchange="IEX"),
        execution.execution_id, at, order.account, "IEX", "BOT" if order.side == "BUY" else "SLD",
        execution.shares, execution.price, order.permanent_id, order.client_id, "0",
        execution.cumulative_shares, execution.average_price, order.reference, "", "", "", "1",
    )  # fmt: skip


def commission_report(execution: Execution) -> Fields:
    """Return the message of what a fill cost."""
    return message(
        ToClient.COMMISSION_REPORT, 1, execution.execution_id, execution.commission_usd, "USD", UNSET_DOUBLE,
        UNSET_DOUBLE, "",
    )  # fmt: skip


def position(account: str, contract: Contract, shares: float, average_cost: float) -> Fields:
    """Return the message of one holding."""
    return message(ToClient.POSITION, 3, account, *contract_fields(contract, exchange=""), shares, average_cost)


def portfolio_value(account: str, contract: Contract, shares: float, average_cost: float, price: float) -> Fields:
    """Return the message of what one holding is worth."""
    named = list(contract_fields(contract))
    named[7] = contract.primary_exchange  # where the other messages have the exchange
    gain = shares * (price - average_cost)
    return message(ToClient.PORTFOLIO_VALUE, 8, *named, shares, price, shares * price, average_cost, gain, 0.0, account)
