"""Tags and metrics that have a meaning of their own in MLflow."""

PARENT = "mlflow.parentRunId"  # MLflow's own: the run that a run stands below
NOTE = "mlflow.note.content"  # MLflow's own: the text of a run's or an experiment's page
VIEW = "mlflow.sharedViewState."  # MLflow's own: how the tags that keep prepared lists begin
ARRIVED = "arrived_at_s"  # when MLflow held all of a finished run; for `osr export --since`
HELD = "osr.plan"  # of an experiment; absent or empty while MLflow lacks something
FACTS = "osr.trial"  # of a trial's run: stands for the facts that it shows
