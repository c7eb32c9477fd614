-- What a symbol earned = value at the close - value at the close before - net purchases + cash from corporate actions
-- - commission. Each part is a row of `parts`, dated with the session that it belongs to.
with parts as (
    select
        account,
        symbol,
        session,
        market_value_usd as price_pnl_usd,
        0.0 as dividends_usd,
        0.0 as commission_usd,
        0.0 as traded_usd
    from {{ ref('stg_positions') }}
    union all by name
    select
        account,
        symbol,
        session,
        -market_value_usd as price_pnl_usd
    from {{ ref('int_opening_positions') }}
    union all by name
    select
        account,
        symbol,
        session,
        commission_usd,
        -quantity_shares * price_usd as price_pnl_usd,
        abs(quantity_shares) * price_usd as traded_usd
    from {{ ref('stg_fills') }}
    union all by name
    select
        account,
        symbol,
        session,
        dividends_usd,
        exchanged_usd as price_pnl_usd
    from {{ ref('int_corporate_action_cash') }}
)

select
    account,
    symbol,
    date_trunc('month', session)::date as month_start,
    sum(coalesce(price_pnl_usd, 0)) as price_pnl_usd,
    sum(coalesce(dividends_usd, 0)) as dividends_usd,
    sum(coalesce(commission_usd, 0)) as commission_usd,
    sum(coalesce(traded_usd, 0)) as traded_usd,
    sum(coalesce(price_pnl_usd, 0) + coalesce(dividends_usd, 0) - coalesce(commission_usd, 0)) as pnl_usd
from parts
group by all
