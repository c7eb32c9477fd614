-- Cash that corporate actions brought to what was held before: dividends; for a split the part of the old value that no
-- whole new share stands for; for a merger or a delisting what the shares left turned to. The acquirer's shares that a
-- merger pays are taken from the acquirer, at the close at which they are received.
with filled as (
    select
        account,
        session,
        symbol,
        sum(quantity_shares order by client_order_id, fill_number) as filled_shares
    from {{ ref('stg_fills') }}
    group by all
),

acquired as (
    select
        opening.account,
        opening.session,
        mergers.acquirer as symbol,
        mergers.acquirer_close_usd,
        (opening.quantity_shares + coalesce(filled.filled_shares, 0)) * mergers.acquirer_shares as exact_shares
    from {{ ref('int_opening_positions') }} as opening
    inner join {{ ref('int_merger_terms') }} as mergers
        on
            opening.symbol = mergers.symbol
            and opening.session = mergers.session
    left join filled
        on
            opening.account = filled.account
            and opening.session = filled.session
            and opening.symbol = filled.symbol
    where mergers.acquirer is not null
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
                * coalesce(mergers.share_value_usd, bars.close_raw_usd, opening.mark_price_usd)
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
left join {{ ref('int_merger_terms') }} as mergers
    on
        opening.session = mergers.session
        and opening.symbol = mergers.symbol
union all
select
    account,
    session,
    symbol,
    0 as dividends_usd,
    -- Whole shares, rounded towards zero as the account does; what a billionth is short of one counts as one.
    -sign(exact_shares) * floor(abs(exact_shares) + 1e-9) * acquirer_close_usd as exchanged_usd
from acquired
