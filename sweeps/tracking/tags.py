"""Tags and metrics that have a meaning of their own in MLflow."""

PARENT = "mlflow.parentRunId"

ARRIVED = "arrived_at_s"  # when MLflow held all of a finished run; for `osr export --since`


HELD = "osr.plan"  # the tag; absent or empty while MLflow lacks something


NOTE = "mlflow.note.content"

VIEW = "mlflow.sharedViewState."
