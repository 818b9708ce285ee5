"""What a default rests on: `make choices`, or `python -m benchmarks NAME`.

`search` also measures how long it takes to ask for a candidate.
"""
