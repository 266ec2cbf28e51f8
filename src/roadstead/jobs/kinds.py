"""Jobs that one room asks of another, beside which it stands: neither may import the other."""

from __future__ import annotations

REMOVE_IMAGES = "remove-images-of-project"
"""iam → registry. Arguments: what the names of the project's repositories begin with (registry/removal.py)."""
