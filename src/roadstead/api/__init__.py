"""HTTP edges: decode, authorize, one domain call, encode."""
