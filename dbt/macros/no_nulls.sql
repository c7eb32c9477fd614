{#- Generic test: none of `columns` is null. One statement for a model: a test for each column takes dbt far longer. -#}
{% test no_nulls(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where
        {% for column in columns -%}
        {{ column }} is null{{ " or " if not loop.last }}
        {%- endfor %}
{% endtest %}
