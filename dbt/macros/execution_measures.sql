{#- What orders came to, added up over some of their columns. Sums are taken by order: in the order of the rows, which is
    none, their last bit would differ between builds. -#}
{% macro execution_sums() %}
        count(*) as order_count,
        count(*) filter (where fill_count > 0) as filled_order_count,
        sum(fill_count)::bigint as fill_count,
        sum(ordered_usd order by client_order_id) as ordered_usd,
        sum(filled_at_arrival_usd order by client_order_id) as filled_at_arrival_usd,
        sum(traded_usd order by client_order_id) as traded_usd,
        max(participation_rate) as largest_participation_rate,
        sum(slippage_usd order by client_order_id) as slippage_usd,
        sum(commission_usd order by client_order_id) as commission_usd,
        sum(arrival_cost_usd order by client_order_id) as arrival_cost_usd
{%- endmacro %}

{#- The sums, and what follows from them by division. -#}
{% macro execution_measures() %}
    order_count,
    filled_order_count,
    fill_count,
    ordered_usd,
    filled_at_arrival_usd,
    traded_usd,
    largest_participation_rate,
    slippage_usd,
    commission_usd,
    arrival_cost_usd,
    filled_at_arrival_usd / nullif(ordered_usd, 0) as fill_rate,
    10000 * slippage_usd / nullif(traded_usd, 0) as slippage_bps,
    slippage_usd + commission_usd as cost_usd,
    10000 * (slippage_usd + commission_usd) / nullif(traded_usd, 0) as cost_bps,
    10000 * arrival_cost_usd / nullif(filled_at_arrival_usd, 0) as arrival_cost_bps
{%- endmacro %}
