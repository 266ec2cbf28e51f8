"""Scanning: what layers and images hold, advisories, and where they meet."""

from __future__ import annotations
