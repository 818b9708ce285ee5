"""Hyperparameter search: candidates are asked of Optuna, run as trials, told, and one is chosen."""
