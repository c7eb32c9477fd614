select
    symbol,
    ticker,
    first_session,
    last_session,
    sector
from {{ source('market_data', 'listings') }}
