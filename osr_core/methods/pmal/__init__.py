"""Prototype mining and learning: topology, mining, the point-to-set distance and the method."""
