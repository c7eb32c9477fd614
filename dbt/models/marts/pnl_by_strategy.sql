-- What positions earned is shared out by portfolio/strategy_pnl; trading, interest and costs belong to no opinion.
select
    session,
    account,
    kind,
    attributed_to,
    net_weight,
    gross_weight,
    pnl_usd
from {{ ref('stg_strategy_pnl') }}
{% for kind, column in [
    ('trading', 'trading_pnl_usd'),
    ('interest', 'interest_usd'),
    ('slippage', 'slippage_usd'),
    ('commission', 'commission_usd'),
    ('residual', 'residual_usd'),
] %}
    union all
    select
        session,
        account,
        '{{ kind }}' as kind,
        '{{ kind }}' as attributed_to,
        null as net_weight,
        null as gross_weight,
        {{ column }} as pnl_usd
    from {{ ref('stg_daily_pnl') }}
{% endfor %}
