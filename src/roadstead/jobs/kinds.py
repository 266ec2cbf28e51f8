"""Jobs that one room asks of another, beside which it stands: neither may import the other."""

from __future__ import annotations

REMOVE_IMAGES = "remove-images-of-project"
"""iam → registry. Arguments: what the names of the project's repositories begin with (registry/removal.py)."""

REMOVE_ANALYSIS = "remove-analysis-of-project"
"""iam → analysis. Arguments: the project (analysis/removal.py)."""

SCAN_IMAGE = "scan-image"
"""registry → scanning. Arguments: the id of a row of scanned_images (scanning/scan.py)."""

SCAN_LATER = "scan-image-later"
"""The same as SCAN_IMAGE, of scanning itself: for images that nobody has just pushed, and that pushes do not wait for."""

SCAN_PROJECT = "scan-project"
"""iam → scanning. Arguments: the project, whose images are all scanned that are not yet (scanning/scan.py)."""

REMATCH = "rematch"
"""Of scanning itself, after advisories have changed (scanning/rematch.py). No arguments."""

SCAN_PACKAGES = "scan-packages"
"""Of scanning itself. Arguments: the name of a scan on demand (scanning/on_demand.py)."""
