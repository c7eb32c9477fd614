"""Dagster resources: the lake, the market, the desk, and the event log's storage."""
