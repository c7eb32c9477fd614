with filled as (
    select
        account,
        client_order_id,
        count(*) as fill_count,
        sum(quantity_shares) as filled_shares,
        sum(abs(quantity_shares) * price_usd) as traded_usd,
        sum(abs(quantity_shares) * arrival_price_usd) as arrival_usd,
        sum(quantity_shares * (price_usd - arrival_price_usd)) as arrival_cost_usd,
        sum(slippage_usd) as slippage_usd,
        sum(commission_usd) as commission_usd
    from {{ ref('stg_fills') }}
    group by all
),

approved as (
    select
        orders.account,
        orders.client_order_id,
        orders.algorithm,
        orders.ordered_shares,
        date_trunc('month', orders.execution_session)::date as month_start,
        if(orders.ordered_shares > 0, 'buy', 'sell') as side
    from {{ ref('stg_orders') }} as orders
    where orders.gate_outcome = 'approved'
)

select
    approved.account,
    approved.month_start,
    approved.algorithm,
    approved.side,
    count(*) as order_count,
    count(filled.client_order_id) as filled_order_count,
    coalesce(sum(filled.fill_count), 0)::bigint as fill_count,
    sum(abs(approved.ordered_shares)) as ordered_shares,
    coalesce(sum(abs(filled.filled_shares)), 0) as filled_shares,
    coalesce(sum(filled.traded_usd), 0) as traded_usd,
    coalesce(sum(filled.slippage_usd), 0) as slippage_usd,
    coalesce(sum(filled.commission_usd), 0) as commission_usd,
    coalesce(sum(filled.arrival_cost_usd), 0) as arrival_cost_usd,
    10000 * sum(filled.arrival_cost_usd) / nullif(sum(filled.arrival_usd), 0) as arrival_cost_bps
from approved
left join filled
    on
        approved.account = filled.account
        and approved.client_order_id = filled.client_order_id
group by all
