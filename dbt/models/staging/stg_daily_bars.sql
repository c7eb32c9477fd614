select
    session,
    symbol,
    close_raw_usd
from {{ source('market_data', 'daily_bars') }}
