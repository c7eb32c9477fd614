-- The tables of a book are written together, session by session: one that ends earlier than the others would put old
-- numbers beside new ones. An account that holds nothing has no positions; then it is its values that count.
with ends as (
    select
        account,
        'portfolio/daily_pnl' as table_name,
        max(session) as last_session
    from {{ ref('stg_daily_pnl') }}
    group by all
    union all by name
    select
        account,
        'portfolio/positions' as table_name,
        max(session) as last_session
    from {{ ref('stg_positions') }}
    group by all
),

valued as (
    select
        account,
        max(session) as last_session,
        max_by(positions_value_usd, session) as positions_value_usd
    from {{ ref('stg_account_values') }}
    group by all
)

select
    valued.account,
    ends.table_name,
    ends.last_session,
    valued.last_session as last_valued_session
from valued
left join ends
    on valued.account = ends.account
where
    ends.last_session is distinct from valued.last_session
    and not (coalesce(ends.table_name, '') = 'portfolio/positions' and valued.positions_value_usd = 0)
