{#- Schemas of the lake are its layers: take the configured name as it is, without dbt's prefix. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
