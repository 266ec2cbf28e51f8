"""Scanning pushes, loading advisories, and keeping the findings of all images true."""
