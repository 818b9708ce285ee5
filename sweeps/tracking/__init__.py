"""MLflow as a picture of the store."""
