with sums as (
    select
        account,
        algorithm,
        side,
        date_trunc('month', execution_session)::date as month_start,
        {{ execution_sums() }}
    from {{ ref('int_order_execution') }}
    group by all
)

select
    account,
    month_start,
    algorithm,
    side,
    {{ execution_measures() }}
from sums
