"""Container images in, packages and findings out: pure functions on bytes and values."""
