"""From a spec to the graph of its stages, and which is next; it reads nothing but spec and data."""
