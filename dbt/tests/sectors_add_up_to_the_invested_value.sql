with sectors as (
    select
        session,
        account,
        sum(market_value_usd) as market_value_usd
    from {{ ref('sector_exposures') }}
    group by all
)

select
    account_values.session,
    account_values.account,
    account_values.positions_value_usd,
    sectors.market_value_usd
from {{ ref('stg_account_values') }} as account_values
left join sectors
    on
        account_values.session = sectors.session
        and account_values.account = sectors.account
where
    abs(coalesce(sectors.market_value_usd, 0) - account_values.positions_value_usd)
    > {{ var('money_tolerance_usd') }}
