select
    session,
    account,
    equity_change_usd,
    price_pnl_usd,
    trading_pnl_usd,
    dividends_usd,
    interest_usd,
    slippage_usd,
    commission_usd,
    residual_usd,
    return_daily,
    benchmark_return_daily
from {{ source('portfolio', 'daily_pnl') }}
