"""One HTML page about exported sweeps."""
