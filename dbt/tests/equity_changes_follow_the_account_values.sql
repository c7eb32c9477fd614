with steps as (
    select
        session,
        account,
        equity_usd - lag(equity_usd) over (partition by account order by session) as equity_step_usd
    from {{ ref('stg_account_values') }}
)

select
    steps.session,
    steps.account,
    steps.equity_step_usd,
    pnl.equity_change_usd
from steps
inner join {{ ref('stg_daily_pnl') }} as pnl
    on
        steps.session = pnl.session
        and steps.account = pnl.account
where abs(steps.equity_step_usd - pnl.equity_change_usd) > {{ var('money_tolerance_usd') }}
