"""What stages leave, and who may write it: the truth about every sweep."""
