"""ARPL with confusing samples: see method.py."""
