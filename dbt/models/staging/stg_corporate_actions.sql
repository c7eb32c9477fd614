select
    session,
    symbol,
    action,
    split_ratio,
    dividend_usd as dividend_per_share_usd
from {{ source('market_data', 'corporate_actions') }}
