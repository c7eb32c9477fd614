select
    table_name,
    check_name,
    outcome,
    date_trunc('month', session)::date as month_start,
    count(*) as session_count,
    sum(offending_rows) as offending_rows,
    bool_or(is_blocking) as is_blocking
from {{ ref('stg_check_results') }}
group by all
