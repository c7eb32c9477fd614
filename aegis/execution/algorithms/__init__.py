"""Execution algorithms: how a parent order is worked by child orders, the same in simulation and live.

Schedules are pure values, algorithms are state machines without input or output. What reaches a venue is decided by
whoever drives them: :mod:`aegis.execution.algorithms.parent_desk`.
"""
