"""One module for each engine, with a function for each task that it can do.

A module names the engine and its version (`NAME`, `version()`), the environment it needs (`ENVIRONMENT`), what its
numbers include (`INCLUDES`), the largest size that it is given because it is slow (`LARGEST`), and what it cannot do,
with the reason (`CANNOT`). ``task_a`` to ``task_e`` take a task and a stopwatch and return an
:class:`~benchmarks.backtesting.tasks.Outcome`.
"""
