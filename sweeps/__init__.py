"""The orchestration: spec -> plan -> Ray Tune -> store -> MLflow, and the `osr` command.

What is on the store is the truth. Ray schedules, MLflow shows; both may be lost and are rebuilt.
"""
