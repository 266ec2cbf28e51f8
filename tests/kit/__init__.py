"""Tools the tests share: a real server, an image builder, real clients, a disk that forgets what was not synced."""
