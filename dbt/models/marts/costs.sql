-- Sums are taken by fill: in the order of the rows, which is none, their last bit would differ between builds.
with monthly as (
    select
        account,
        date_trunc('month', session)::date as month_start,
        count(*) as fill_count,
        sum(abs(quantity_shares) * price_usd order by session, client_order_id, fill_number) as traded_usd,
        sum(commission_usd order by session, client_order_id, fill_number) as commission_usd,
        sum(slippage_usd order by session, client_order_id, fill_number) as slippage_usd
    from {{ ref('stg_fills') }}
    group by all
)

select
    *,
    commission_usd + slippage_usd as cost_usd,
    10000 * (commission_usd + slippage_usd) / nullif(traded_usd, 0) as cost_bps
from monthly
