-- A position outlives its listing's last session until it is closed, so the latest listing that began by then counts.
-- Sums are taken by symbol: in the order of the rows, which is none, their last bit would differ between builds.
with positions as (
    select
        held.session,
        held.account,
        held.symbol,
        held.market_value_usd,
        held.weight,
        coalesce(listings.sector, 'Unlisted') as sector
    from {{ ref('stg_positions') }} as held
    asof left join {{ ref('stg_listings') }} as listings
        on
            held.symbol = listings.symbol
            and held.session >= listings.first_session
    where held.quantity_shares != 0
)

select
    session,
    account,
    sector,
    count(*) as position_count,
    sum(market_value_usd order by symbol) as market_value_usd,
    sum(greatest(weight, 0) order by symbol) as long_weight,
    sum(least(weight, 0) order by symbol) as short_weight,
    sum(weight order by symbol) as net_weight,
    sum(abs(weight) order by symbol) as gross_weight
from positions
group by all
