-- What an account held when a session opened: the positions of the account's session before.
with sessions as (
    select
        account,
        session,
        lead(session) over (partition by account order by session) as next_session
    from {{ ref('stg_account_values') }}
)

select
    held.account,
    held.symbol,
    held.quantity_shares,
    held.mark_price_usd,
    held.market_value_usd,
    sessions.next_session as session
from {{ ref('stg_positions') }} as held
inner join sessions
    on
        held.account = sessions.account
        and held.session = sessions.session
where sessions.next_session is not null
