"""Roadstead: a self-hosted container registry that GCR's own clients cannot tell from it."""

__version__ = "0.1.0"
