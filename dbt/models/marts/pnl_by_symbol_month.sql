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
),

-- A source leaves out what it has no part in; that is nothing, and not unknown.
filled_in as (
    select
        account,
        symbol,
        session,
        coalesce(price_pnl_usd, 0) as price_pnl_usd,
        coalesce(dividends_usd, 0) as dividends_usd,
        coalesce(commission_usd, 0) as commission_usd,
        coalesce(traded_usd, 0) as traded_usd,
        coalesce(price_pnl_usd, 0) + coalesce(dividends_usd, 0) - coalesce(commission_usd, 0) as pnl_usd
    from parts
)

-- Sums are taken by session and, as parts of one session have no key in common, by size: in the order of the rows,
-- which is none, their last bit would differ between builds.
select
    account,
    symbol,
    date_trunc('month', session)::date as month_start,
    sum(price_pnl_usd order by session, price_pnl_usd) as price_pnl_usd,
    sum(dividends_usd order by session, dividends_usd) as dividends_usd,
    sum(commission_usd order by session, commission_usd) as commission_usd,
    sum(traded_usd order by session, traded_usd) as traded_usd,
    sum(pnl_usd order by session, pnl_usd) as pnl_usd
from filled_in
group by all
