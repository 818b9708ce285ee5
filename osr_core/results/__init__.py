"""How what stages leave lies in files: one form, whoever runs them and in whatever store."""
