"""An auto-encoder with an adversary, of which OSRCI and G-OpenMax make unknown images.

gan.py has the networks and how they are trained, generate.py the stage that makes the images.
"""
