select
    session,
    account,
    residual_usd
from {{ ref('stg_daily_pnl') }}
where abs(residual_usd) > {{ var('money_tolerance_usd') }}
