"""Repositories, blobs, uploads, manifests, tags and referrers: what the distribution API does, without HTTP."""
