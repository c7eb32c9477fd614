-- Fills state costs as positive amounts, the P&L as negative ones. Sums over a month lose a little to rounding.
select
    pnl.account,
    pnl.month_start,
    monthly.commission_usd as fills_commission_usd,
    pnl.commission_usd as pnl_commission_usd,
    monthly.slippage_usd as fills_slippage_usd,
    pnl.slippage_usd as pnl_slippage_usd
from {{ ref('pnl_by_month') }} as pnl
left join {{ ref('costs') }} as monthly
    on
        pnl.account = monthly.account
        and pnl.month_start = monthly.month_start
where
    abs(coalesce(monthly.commission_usd, 0) + pnl.commission_usd) > 100 * {{ var('money_tolerance_usd') }}
    or abs(coalesce(monthly.slippage_usd, 0) + pnl.slippage_usd) > 100 * {{ var('money_tolerance_usd') }}
