"""A sweep's results as typed Parquet files: written from MLflow, read by everything else here."""
