"""Pictures, each drawn from one export."""
