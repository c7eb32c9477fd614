"""Dagster assets and their checks: read, one call into aegis, write, metadata."""
