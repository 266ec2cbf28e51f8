"""The stylesheet."""

from __future__ import annotations

from pathlib import Path

from roadstead.api.messages import Response
from roadstead.api.signin.browser import Visit
from roadstead.api.signin.services import Services
from roadstead.errors import NotFound

_FOLDER = Path(__file__).parent / "static"
# Read once, and nothing else is in reach: a name is looked up here, never on the disk.
_FILES = {file.name: file.read_bytes() for file in sorted(_FOLDER.glob("*.css"))}


async def get(_: Services, visited: Visit) -> Response:
    """Raises NotFound."""
    content = _FILES.get(visited.request.path.rpartition("/")[2])
    if content is None:
        raise NotFound("there is no such file")
    headers = [
        ("content-type", "text/css; charset=utf-8"),
        ("cache-control", "public, max-age=3600"),
    ]
    return Response(200, headers, content)
