"""A plan's stages in plain processes, without Ray: `python -m osr_core.batch PLAN.json`."""
