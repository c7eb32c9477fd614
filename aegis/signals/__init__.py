"""Strategies, their scores, and the ensemble that combines them."""
