"""What a default rests on, by trained networks: `make choices`, or `python -m benchmarks NAME`."""
