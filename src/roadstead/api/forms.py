"""Forms of OAuth's endpoints (RFC 6749, 3.2): each parameter at most once."""

from __future__ import annotations

from urllib.parse import parse_qsl

from roadstead.errors import GrantRefused

MOST_FIELDS = 50


def once(text: str) -> dict[str, str]:
    """Raises ValueError when it is malformed or has more than MOST_FIELDS; GrantRefused for a parameter that occurs twice."""
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="strict")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise GrantRefused("invalid_request", "a field occurs twice")
    return fields
