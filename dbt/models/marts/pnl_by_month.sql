-- Sums are taken by session: in the order of the rows, which is none, their last bit would differ between builds.
select
    account,
    date_trunc('month', session)::date as month_start,
    count(*) as session_count,
    sum(equity_change_usd order by session) as equity_change_usd,
    sum(price_pnl_usd order by session) as price_pnl_usd,
    sum(trading_pnl_usd order by session) as trading_pnl_usd,
    sum(dividends_usd order by session) as dividends_usd,
    sum(interest_usd order by session) as interest_usd,
    sum(slippage_usd order by session) as slippage_usd,
    sum(commission_usd order by session) as commission_usd,
    sum(residual_usd order by session) as residual_usd
from {{ ref('stg_daily_pnl') }}
group by all
