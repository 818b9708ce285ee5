"""`python -m sweeps` is the `osr` command."""

from sweeps.commands.app import main

main()
