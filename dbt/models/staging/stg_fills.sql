select
    session,
    account,
    client_order_id,
    decision_id,
    fill_number,
    symbol,
    quantity_shares,
    price_usd,
    reference_price_usd,
    arrival_price_usd,
    commission_usd,
    slippage_usd
from {{ source('execution', 'fills') }}
