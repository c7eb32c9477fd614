select
    session,
    account,
    symbol,
    quantity_shares,
    mark_price_usd,
    market_value_usd,
    weight
from {{ source('portfolio', 'positions') }}
