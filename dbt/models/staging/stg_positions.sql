select
    session,
    account,
    symbol,
    quantity_shares,
    market_value_usd,
    weight
from {{ source('portfolio', 'positions') }}
