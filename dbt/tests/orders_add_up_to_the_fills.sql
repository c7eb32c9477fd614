-- Every fill belongs to an order of the mart, and to one only.
with fills as (
    select
        account,
        sum(abs(quantity_shares) * price_usd) as traded_usd,
        sum(slippage_usd) as slippage_usd,
        sum(commission_usd) as commission_usd
    from {{ ref('stg_fills') }}
    group by all
),

orders as (
    select
        account,
        sum(traded_usd) as traded_usd,
        sum(slippage_usd) as slippage_usd,
        sum(commission_usd) as commission_usd
    from {{ ref('execution_by_order') }}
    group by all
)

select
    fills.account,
    fills.traded_usd,
    orders.traded_usd as orders_traded_usd,
    fills.slippage_usd,
    orders.slippage_usd as orders_slippage_usd,
    fills.commission_usd,
    orders.commission_usd as orders_commission_usd
from fills
left join orders
    on fills.account = orders.account
where
    abs(fills.traded_usd - coalesce(orders.traded_usd, 0)) > 1000 * {{ var('money_tolerance_usd') }}
    or abs(fills.slippage_usd - coalesce(orders.slippage_usd, 0)) > 100 * {{ var('money_tolerance_usd') }}
    or abs(fills.commission_usd - coalesce(orders.commission_usd, 0)) > 100 * {{ var('money_tolerance_usd') }}
