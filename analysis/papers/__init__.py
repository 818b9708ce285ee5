"""What the two papers print, and which of our trials belong where in their tables."""
