"""Covariance, target weights and the shares they stand for."""
