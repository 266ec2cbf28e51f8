"""Container Analysis: notes and occurrences."""

from __future__ import annotations
