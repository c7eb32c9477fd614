select
    session,
    "table" as table_name,
    "check" as check_name,
    outcome,
    is_blocking,
    observed as offending_rows
from {{ source('quality', 'check_results') }}
