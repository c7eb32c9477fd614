select
    account,
    date_trunc('month', session)::date as month_start,
    count(*) as session_count,
    sum(equity_change_usd) as equity_change_usd,
    sum(price_pnl_usd) as price_pnl_usd,
    sum(trading_pnl_usd) as trading_pnl_usd,
    sum(dividends_usd) as dividends_usd,
    sum(interest_usd) as interest_usd,
    sum(slippage_usd) as slippage_usd,
    sum(commission_usd) as commission_usd,
    sum(residual_usd) as residual_usd
from {{ ref('stg_daily_pnl') }}
group by all
