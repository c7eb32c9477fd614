select
    session as decision_session,
    execution_session,
    account,
    client_order_id,
    decision_id,
    symbol,
    quantity_shares as ordered_shares,
    arrival_price_usd,
    algorithm,
    gate_outcome
from {{ source('execution', 'orders') }}
