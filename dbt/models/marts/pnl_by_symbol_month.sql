-- What a symbol earned = value at the end - value at the start - net purchases + dividends - commission.
-- Each part is one row of `parts`, dated with the session that it belongs to.
with sessions as (
    select
        account,
        session,
        lead(session) over (partition by account order by session) as next_session
    from {{ ref('stg_account_values') }}
),

positions as (
    select
        held.*,
        sessions.next_session
    from {{ ref('stg_positions') }} as held
    inner join sessions
        on
            held.account = sessions.account
            and held.session = sessions.session
),

parts as (
    select
        account,
        symbol,
        session,
        market_value_usd as price_pnl_usd,
        0.0 as dividends_usd,
        0.0 as commission_usd,
        0.0 as traded_usd
    from positions
    union all by name
    select
        account,
        symbol,
        next_session as session,
        -market_value_usd as price_pnl_usd
    from positions
    where next_session is not null
    union all by name
    select
        account,
        symbol,
        session,
        -quantity_shares * price_usd as price_pnl_usd,
        commission_usd,
        abs(quantity_shares) * price_usd as traded_usd
    from {{ ref('stg_fills') }}
    union all by name
    select
        positions.account,
        positions.symbol,
        positions.next_session as session,
        positions.quantity_shares * dividends.dividend_per_share_usd as dividends_usd
    from positions
    inner join {{ ref('stg_dividends') }} as dividends
        on
            positions.symbol = dividends.symbol
            and positions.next_session = dividends.session
)

select
    account,
    symbol,
    date_trunc('month', session)::date as month_start,
    sum(price_pnl_usd) as price_pnl_usd,
    coalesce(sum(dividends_usd), 0) as dividends_usd,
    coalesce(sum(commission_usd), 0) as commission_usd,
    coalesce(sum(traded_usd), 0) as traded_usd,
    sum(coalesce(price_pnl_usd, 0) + coalesce(dividends_usd, 0) - coalesce(commission_usd, 0)) as pnl_usd
from parts
group by all
