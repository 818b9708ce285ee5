"""Stages on a Ray cluster, from the plan to the store."""
