-- What one share of an acquired symbol turns to: cash; shares of the acquirer at its close of the session; or, where
-- that has no bar or leaves the market as well, the share's own last close, which is null here.
with leaving as (
    select distinct
        session,
        symbol
    from {{ ref('stg_corporate_actions') }}
    where action in ('merger', 'delisting')
)

select
    mergers.session,
    mergers.symbol,
    acquirers.close_raw_usd as acquirer_close_usd,
    if(acquirers.close_raw_usd is null, null, mergers.acquirer) as acquirer,
    if(acquirers.close_raw_usd is null, 0, mergers.merger_ratio) as acquirer_shares,
    case
        when mergers.merger_ratio = 0 then mergers.merger_cash_usd
        else mergers.merger_cash_usd + mergers.merger_ratio * acquirers.close_raw_usd
    end as share_value_usd
from {{ ref('stg_corporate_actions') }} as mergers
left join leaving
    on
        mergers.session = leaving.session
        and mergers.acquirer = leaving.symbol
left join {{ ref('stg_daily_bars') }} as acquirers
    on
        mergers.session = acquirers.session
        and mergers.acquirer = acquirers.symbol
        and leaving.symbol is null
        and mergers.merger_ratio > 0
where mergers.action = 'merger'
