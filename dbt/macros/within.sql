{#- Generic test: no value of the column lies outside `smallest` to `largest`; null passes. -#}
{% test within(model, column_name, smallest, largest) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} not between {{ smallest }} and {{ largest }}
{% endtest %}
