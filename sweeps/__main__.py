"""`python -m sweeps` is the `osr` command."""

from sweeps.cli import main

main()
