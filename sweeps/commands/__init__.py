"""What users type: the `osr` command."""
