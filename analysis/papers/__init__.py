"""What the two papers print, and which of our trials belong in which place of their tables."""
