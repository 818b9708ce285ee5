"""The sweeps that come with the package, by file name."""
