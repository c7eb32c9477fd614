with orders as (
    select
        account,
        execution_session as session,
        count(*) as order_count,
        sum(ordered_usd) as ordered_usd,
        sum(cost_usd) as cost_usd,
        sum(arrival_cost_usd) as arrival_cost_usd
    from {{ ref('execution_by_order') }}
    group by all
)

select
    orders.account,
    orders.session,
    orders.order_count,
    sessions.order_count as session_order_count,
    orders.cost_usd,
    sessions.cost_usd as session_cost_usd
from orders
full join {{ ref('execution_by_session') }} as sessions
    on
        orders.account = sessions.account
        and orders.session = sessions.session
where
    orders.order_count is distinct from sessions.order_count
    or abs(orders.ordered_usd - sessions.ordered_usd) > 100 * {{ var('money_tolerance_usd') }}
    or abs(orders.cost_usd - sessions.cost_usd) > {{ var('money_tolerance_usd') }}
    or abs(orders.arrival_cost_usd - sessions.arrival_cost_usd) > {{ var('money_tolerance_usd') }}
