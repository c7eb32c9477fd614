with sums as (
    select
        execution_session as session,
        account,
        {{ execution_sums() }}
    from {{ ref('int_order_execution') }}
    group by all
)

select
    session,
    account,
    {{ execution_measures() }}
from sums
