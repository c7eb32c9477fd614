-- Fills under the order that was decided. A fill of a child has the child's id: its order is the approved one of its
-- decision in its symbol.
select
    fills.session,
    fills.account,
    fills.client_order_id as executed_id,
    fills.fill_number,
    fills.symbol,
    fills.quantity_shares,
    fills.price_usd,
    fills.arrival_price_usd,
    fills.commission_usd,
    fills.slippage_usd,
    coalesce(own.client_order_id, decided.client_order_id) as client_order_id
from {{ ref('stg_fills') }} as fills
left join {{ ref('stg_orders') }} as own
    on
        fills.account = own.account
        and fills.client_order_id = own.client_order_id
left join {{ ref('stg_orders') }} as decided
    on
        own.client_order_id is null
        and fills.account = decided.account
        and fills.decision_id = decided.decision_id
        and fills.symbol = decided.symbol
        and decided.gate_outcome = 'approved'
