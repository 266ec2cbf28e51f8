"""The one door to bytes that are too large for the database: staged uploads and finished blobs, one store a location."""
