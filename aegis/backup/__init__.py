"""Backups of a workspace: its lake, journals, Dagster home, runs and settings, in a folder or an object store."""
