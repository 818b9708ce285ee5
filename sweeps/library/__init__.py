"""What notebooks and scripts call; `sweeps` itself offers these names."""
