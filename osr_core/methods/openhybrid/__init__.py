"""OpenHybrid: see method.py."""
