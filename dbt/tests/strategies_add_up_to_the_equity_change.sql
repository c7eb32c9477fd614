with sources as (
    select
        session,
        account,
        sum(pnl_usd) as pnl_usd
    from {{ ref('pnl_by_strategy') }}
    group by all
)

select
    pnl.session,
    pnl.account,
    pnl.equity_change_usd,
    sources.pnl_usd
from {{ ref('stg_daily_pnl') }} as pnl
left join sources
    on
        pnl.session = sources.session
        and pnl.account = sources.account
where abs(coalesce(sources.pnl_usd, 0) - pnl.equity_change_usd) > {{ var('money_tolerance_usd') }}
