with monthly as (
    select
        account,
        date_trunc('month', session)::date as month_start,
        count(*) as fill_count,
        sum(abs(quantity_shares) * price_usd) as traded_usd,
        sum(commission_usd) as commission_usd,
        sum(slippage_usd) as slippage_usd
    from {{ ref('stg_fills') }}
    group by all
)

select
    *,
    commission_usd + slippage_usd as cost_usd,
    10000 * (commission_usd + slippage_usd) / nullif(traded_usd, 0) as cost_bps
from monthly
