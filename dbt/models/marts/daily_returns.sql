select
    pnl.session,
    pnl.account,
    account_values.equity_usd,
    account_values.drawdown,
    pnl.equity_change_usd,
    pnl.return_daily,
    pnl.benchmark_return_daily,
    pnl.return_daily - pnl.benchmark_return_daily as active_return_daily
from {{ ref('stg_daily_pnl') }} as pnl
inner join {{ ref('stg_account_values') }} as account_values
    on
        pnl.session = account_values.session
        and pnl.account = account_values.account
