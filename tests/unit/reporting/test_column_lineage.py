from __future__ import annotations

import pytest

from aegis.errors import ReportingError
from aegis.reporting.column_lineage import column_lineage

TABLES = {
    "execution/fills": ["session", "symbol", "shares", "price_usd"],
    "market_data/listings": ["symbol", "first_session", "sector"],
}


def lineage(query: str) -> dict[str, list[str]]:
    return {
        column: sorted(f"{source.table}.{source.column}" for source in sources)
        for column, sources in column_lineage(query, TABLES).items()
    }


def test_an_expression_comes_from_every_column_inside_it() -> None:
    query = "select symbol, abs(shares) * price_usd as traded_usd, 1 as one from lake.execution.fills"
    assert lineage(query) == {
        "symbol": ["execution/fills.symbol"],
        "traded_usd": ["execution/fills.price_usd", "execution/fills.shares"],
        "one": [],
    }


def test_names_are_followed_through_queries_that_are_named_and_nested() -> None:
    query = """
        with bought as (select symbol as name, shares from lake.execution.fills),
        sums as (select name, sum(shares) as total from bought group by all)
        select *, inside.total / 2 as half from (select * from sums) as inside
    """
    assert lineage(query) == {
        "name": ["execution/fills.symbol"],
        "total": ["execution/fills.shares"],
        "half": ["execution/fills.shares"],
    }


def test_a_join_takes_each_column_from_its_own_side() -> None:
    query = """
        select f.symbol, l.sector from lake.execution.fills as f
        asof left join lake.market_data.listings as l on f.symbol = l.symbol and f.session >= l.first_session
    """
    assert lineage(query) == {"symbol": ["execution/fills.symbol"], "sector": ["market_data/listings.sector"]}


def test_a_union_by_name_ignores_the_place_of_a_column_and_a_plain_one_its_name() -> None:
    first, second = "select symbol, price_usd from lake.execution.fills", "select sector as price_usd, symbol"
    by_name = lineage(f"{first} union all by name {second} from lake.market_data.listings")
    assert by_name["symbol"] == ["execution/fills.symbol", "market_data/listings.symbol"]
    assert by_name["price_usd"] == ["execution/fills.price_usd", "market_data/listings.sector"]
    by_place = lineage(f"{first} union all {second} from lake.market_data.listings")
    assert by_place["symbol"] == ["execution/fills.symbol", "market_data/listings.sector"]


def test_orders_groups_and_conditions_choose_rows_and_give_no_value() -> None:
    query = """
        select
            sum(shares order by session) as total,
            count(*) filter (where price_usd > 1) as dear,
            lead(shares) over (partition by symbol order by session) as next_shares
        from lake.execution.fills where session > '2024-01-01'
    """
    assert lineage(query) == {
        "total": ["execution/fills.shares"],
        "dear": ["execution/fills.price_usd"],
        "next_shares": ["execution/fills.shares"],
    }


def test_a_name_given_earlier_in_the_same_select_is_followed() -> None:
    query = "select shares * price_usd as value_usd, value_usd / 2 as half_usd from lake.execution.fills"
    assert lineage(query)["half_usd"] == ["execution/fills.price_usd", "execution/fills.shares"]


def test_a_star_leaves_out_what_it_excludes() -> None:
    query = "select l.* exclude (sector) from lake.execution.fills as f, lake.market_data.listings as l"
    assert list(lineage(query)) == ["symbol", "first_session"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("selec 1", "cannot parse"),
        ("select colour from lake.execution.fills", "has the column colour"),
        ("select 1 as one from lake.execution.orders", "execution/orders, which is no source"),
        ("select sum(shares) from lake.execution.fills", "has no name"),
        ("select * replace (1 as shares) from lake.execution.fills", "is not followed"),
        ("select i from range(3) as r(i)", "is not followed"),
    ],
)
def test_what_cannot_be_followed_is_refused_and_named(query: str, told: str) -> None:
    with pytest.raises(ReportingError, match=told):
        column_lineage(query, TABLES)
