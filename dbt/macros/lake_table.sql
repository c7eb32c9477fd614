{#-
  Replace a table of the lake in one transaction.

  dbt-duckdb's own `table` builds a second table, renames twice and drops the old one after the commit: two snapshots,
  neither with a message. In a DuckLake `create or replace` keeps the old rows readable at their snapshot, so one
  statement is enough, and the snapshot says which model and which dbt invocation made it. The meanings of table and
  columns are comments in the same snapshot.
-#}
{% materialization lake_table, adapter="duckdb", supported_languages=["sql"] %}
    {%- set relation = this.incorporate(type="table") -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set message = {
        "asset": this.schema ~ "/" ~ this.identifier,
        "sessions": "",
        "run_id": invocation_id,
        "code_version": model.checksum.checksum,
        "reason": "materialize",
    } -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and existing.type != "table" -%}
        {{ drop_relation_if_exists(existing) }}
    {%- endif -%}
    {%- if config.get("contract").enforced -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
    {%- endif -%}

    {% call statement("commit_message") -%}
        call {{ this.database }}.set_commit_message(
            'aegis', '{{ this.schema }}/{{ this.identifier }}', extra_info => '{{ tojson(message) }}'
        )
    {%- endcall %}

    {% call statement("main") -%}
        create or replace table {{ relation }} as (
            {{ compiled_code }}
        )
    {%- endcall %}

    {% call statement("comments") -%}
        {%- if config.persist_relation_docs() and model.description %}
        comment on table {{ relation }} is {{ duckdb_escape_comment(model.description) }};
        {%- endif -%}
        {%- if config.persist_column_docs() %}
        {%- for column in model.columns.values() if column.description %}
        comment on column {{ relation }}."{{ column.name }}" is {{ duckdb_escape_comment(column.description) }};
        {%- endfor -%}
        {%- endif %}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({"relations": [relation]}) }}
{% endmaterialization %}
