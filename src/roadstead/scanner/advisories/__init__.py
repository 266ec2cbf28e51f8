"""Advisories of distributions: bytes of a feed in, one kind of record out."""
