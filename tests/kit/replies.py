"""What an API of Google's form answered."""

from __future__ import annotations

from typing import Any

import httpx


def ok(response: httpx.Response) -> Any:
    """The JSON of a 200."""
    assert 200 == response.status_code, response.text
    return response.json()


def refusal(response: httpx.Response) -> tuple[int, str]:
    """The status, as a number and as a word."""
    return response.status_code, response.json()["error"]["status"]
