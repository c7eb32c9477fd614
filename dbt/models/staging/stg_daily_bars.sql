select
    session,
    symbol,
    close_raw_usd,
    volume_shares
from {{ source('market_data', 'daily_bars') }}
