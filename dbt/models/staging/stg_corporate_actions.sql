select
    session,
    symbol,
    action,
    split_ratio,
    dividend_usd as dividend_per_share_usd,
    merger_cash_usd,
    merger_ratio,
    acquirer
from {{ source('market_data', 'corporate_actions') }}
