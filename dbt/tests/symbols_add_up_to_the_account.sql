-- Interest belongs to no symbol. Splits, cash for fractions of a share and delistings are settled here as the simulated
-- broker does: a difference is a gain or loss that no symbol explains.
with symbols as (
    select
        account,
        month_start,
        sum(pnl_usd) as symbols_pnl_usd
    from {{ ref('pnl_by_symbol_month') }}
    group by all
)

select
    pnl.account,
    pnl.month_start,
    symbols.symbols_pnl_usd,
    pnl.equity_change_usd - pnl.interest_usd - pnl.residual_usd as account_pnl_usd
from {{ ref('pnl_by_month') }} as pnl
left join symbols
    on
        pnl.account = symbols.account
        and pnl.month_start = symbols.month_start
where
    abs(coalesce(symbols.symbols_pnl_usd, 0) - (pnl.equity_change_usd - pnl.interest_usd - pnl.residual_usd))
    > 100 * {{ var('money_tolerance_usd') }}
