-- What became of each approved order. A split on the way changes the shares that an order and its fills are counted in
-- and leaves their value at the arrival price as it was, so what was filled is compared with what was ordered in USD.
with filled_by_session as (
    select
        account,
        client_order_id,
        symbol,
        session,
        count(*) as fill_count,
        sum(quantity_shares order by executed_id, fill_number) as filled_shares,
        sum(abs(quantity_shares) * price_usd order by executed_id, fill_number) as traded_usd,
        sum(abs(quantity_shares) * arrival_price_usd order by executed_id, fill_number) as filled_at_arrival_usd,
        sum(quantity_shares * (price_usd - arrival_price_usd) order by executed_id, fill_number) as arrival_cost_usd,
        sum(slippage_usd order by executed_id, fill_number) as slippage_usd,
        sum(commission_usd order by executed_id, fill_number) as commission_usd
    from {{ ref('int_order_fills') }}
    group by all
),

filled as (
    select
        of_session.account,
        of_session.client_order_id,
        sum(of_session.fill_count)::bigint as fill_count,
        sum(abs(of_session.filled_shares) order by of_session.session) as filled_shares,
        sum(of_session.traded_usd order by of_session.session) as traded_usd,
        sum(of_session.filled_at_arrival_usd order by of_session.session) as filled_at_arrival_usd,
        sum(of_session.arrival_cost_usd order by of_session.session) as arrival_cost_usd,
        sum(of_session.slippage_usd order by of_session.session) as slippage_usd,
        sum(of_session.commission_usd order by of_session.session) as commission_usd,
        max(abs(of_session.filled_shares) / nullif(bars.volume_shares, 0)) as participation_rate
    from filled_by_session as of_session
    left join {{ ref('stg_daily_bars') }} as bars
        on
            of_session.session = bars.session
            and of_session.symbol = bars.symbol
    group by all
)

select
    orders.execution_session,
    orders.account,
    orders.client_order_id,
    orders.decision_session,
    orders.symbol,
    orders.algorithm,
    orders.arrival_price_usd,
    filled.participation_rate,
    if(orders.ordered_shares > 0, 'buy', 'sell') as side,
    abs(orders.ordered_shares) as ordered_shares,
    abs(orders.ordered_shares) * orders.arrival_price_usd as ordered_usd,
    coalesce(filled.fill_count, 0) as fill_count,
    coalesce(filled.filled_shares, 0) as filled_shares,
    coalesce(filled.filled_at_arrival_usd, 0) as filled_at_arrival_usd,
    coalesce(filled.traded_usd, 0) as traded_usd,
    coalesce(filled.slippage_usd, 0) as slippage_usd,
    coalesce(filled.commission_usd, 0) as commission_usd,
    coalesce(filled.arrival_cost_usd, 0) as arrival_cost_usd
from {{ ref('stg_orders') }} as orders
left join filled
    on
        orders.account = filled.account
        and orders.client_order_id = filled.client_order_id
where orders.gate_outcome = 'approved'
