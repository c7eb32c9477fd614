"""The domain of Aegis: data, research, portfolio, risk, execution and reports. It knows nothing of Dagster."""

__version__ = "0.1.0"
