select
    session,
    account,
    cash_usd,
    positions_value_usd,
    equity_usd,
    drawdown
from {{ source('portfolio', 'account_values') }}
