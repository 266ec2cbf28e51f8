"""
The messages of Grafeas v1, field by field, as tables (analysis/fields.py).

Source: https://github.com/grafeas/grafeas, proto/v1; Container Analysis API v1, REST reference.
"""
