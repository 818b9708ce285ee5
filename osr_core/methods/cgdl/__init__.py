"""Conditional Gaussian distribution learning: see method.py."""
