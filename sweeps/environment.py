"""What Ray and MLflow are told before they are imported."""

import contextlib
import os
from pathlib import Path

# No network at run time: no usage statistics, no telemetry, no version checks.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_AUTH_MODE": "disabled",  # a token file left by another Ray program would refuse ours
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what it cannot do reaches users in our words
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes for features not used here
    "RAY_AIR_NEW_OUTPUT": "0",  # else Tune prints a banner also when told to be silent
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # five files per stage that nobody reads
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # sweeps/launch/shutdown.py has the signals
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}

BY = "OSR_BY"  # who has submitted a job, as the job is told

# What our promises rest on, whatever a user has set.
PROMISED = {
    # A request that MLflow's client repeats by itself can make a second run; we look before we
    # repeat (sweeps/tracking/background.py).
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",  # a queue in memory dies with its process
    # Ray's own killer of big processes gives Tune an error that ends the whole sweep; the kernel's
    # is a worker that died, and counts against its stage.
    "RAY_memory_monitor_refresh_ms": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # our searcher says how many are enough
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the store is the truth, Tune's snapshots are not used
}


def prepare_environment() -> None:
    """Set what Ray and MLflow read at import; a user's own settings win where no promise is.
    The folder of decoded images is named as all processes see it.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.update(PROMISED)
    if cache := os.environ.get("OSR_CACHE"):
        with contextlib.suppress(RuntimeError):  # "~nobody" is the name of a folder, then
            cache = str(Path(cache).expanduser())
        os.environ["OSR_CACHE"] = str(Path(cache).absolute())  # workers have another folder
