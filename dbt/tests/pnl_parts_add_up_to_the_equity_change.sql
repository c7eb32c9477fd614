select
    session,
    account,
    equity_change_usd,
    price_pnl_usd + trading_pnl_usd + dividends_usd + interest_usd + slippage_usd + commission_usd
    + residual_usd as sum_of_parts_usd
from {{ ref('stg_daily_pnl') }}
where abs(equity_change_usd - sum_of_parts_usd) > {{ var('money_tolerance_usd') }}
