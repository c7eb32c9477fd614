select
    session,
    account,
    kind,
    attributed_to,
    decision_session,
    net_weight,
    gross_weight,
    pnl_usd
from {{ source('portfolio', 'strategy_pnl') }}
