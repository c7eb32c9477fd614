-- Cash that corporate actions brought to what was held before: dividends; for a split the part of the old value that no
-- whole new share stands for; for a delisting the shares left, at the last close.
with filled as (
    select
        account,
        session,
        symbol,
        sum(quantity_shares) as filled_shares
    from {{ ref('stg_fills') }}
    group by all
)

select
    opening.account,
    opening.session,
    opening.symbol,
    if(actions.action = 'dividend', opening.quantity_shares * actions.dividend_per_share_usd, 0) as dividends_usd,
    case actions.action
        when 'split'
            then
                opening.market_value_usd
                - (coalesce(closing.quantity_shares, 0) - coalesce(filled.filled_shares, 0))
                * opening.mark_price_usd / actions.split_ratio
        when 'delisting'
            then
                (opening.quantity_shares + coalesce(filled.filled_shares, 0))
                * coalesce(bars.close_raw_usd, opening.mark_price_usd)
        else 0
    end as exchanged_usd
from {{ ref('int_opening_positions') }} as opening
inner join {{ ref('stg_corporate_actions') }} as actions
    on
        opening.symbol = actions.symbol
        and opening.session = actions.session
left join {{ ref('stg_positions') }} as closing
    on
        opening.account = closing.account
        and opening.session = closing.session
        and opening.symbol = closing.symbol
left join filled
    on
        opening.account = filled.account
        and opening.session = filled.session
        and opening.symbol = filled.symbol
left join {{ ref('stg_daily_bars') }} as bars
    on
        opening.session = bars.session
        and opening.symbol = bars.symbol
