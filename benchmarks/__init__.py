"""Measurements side by side: `make bench`, `make choices`, or `python -m benchmarks NAME ...`."""
