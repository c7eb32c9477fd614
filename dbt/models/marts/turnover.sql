-- Sums are taken by fill: in the order of the rows, which is none, their last bit would differ between builds.
with traded as (
    select
        session,
        account,
        count(*) as fill_count,
        sum(greatest(quantity_shares, 0) * price_usd order by client_order_id, fill_number) as bought_usd,
        sum(greatest(-quantity_shares, 0) * price_usd order by client_order_id, fill_number) as sold_usd
    from {{ ref('stg_fills') }}
    group by all
)

select
    account_values.session,
    account_values.account,
    account_values.equity_usd,
    coalesce(traded.fill_count, 0) as fill_count,
    coalesce(traded.bought_usd, 0) as bought_usd,
    coalesce(traded.sold_usd, 0) as sold_usd,
    coalesce(traded.bought_usd + traded.sold_usd, 0) as traded_usd
from {{ ref('stg_account_values') }} as account_values
left join traded
    on
        account_values.session = traded.session
        and account_values.account = traded.account
