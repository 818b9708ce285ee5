"""Class conditioned auto-encoder: see method.py."""
