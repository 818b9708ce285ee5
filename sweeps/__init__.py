"""The orchestration: spec -> plan -> Ray Tune -> store -> MLflow, and the `osr` command.

    commands   what users type
    launch     one `osr run`, from its spec to its orderly end
    tracking   MLflow as a picture of the store
    running    stages on a Ray cluster, from the plan to the store
    clusters   Ray clusters seen from outside: files that start one, and jobs handed to one
    planning   from a spec to the graph of its stages
    store      what stages leave, and who may write it

Each imports only what stands below it. What is on the store is the truth. Ray schedules, MLflow
shows; both may be lost and are rebuilt.
"""

from sweeps.environment import prepare_environment

prepare_environment()  # before anything imports Ray or MLflow, which read it at import
