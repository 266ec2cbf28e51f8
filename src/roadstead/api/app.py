"""The root of the HTTP floor: which location, which route; then errors become answers."""

from __future__ import annotations

import re
from collections.abc import Mapping

import structlog

from roadstead.api.distribution.routes import Router
from roadstead.api.errors import distribution_error, internal_error
from roadstead.api.messages import Request, Response
from roadstead.errors import NotFound, RequestInvalid, RoadsteadError, StorageError

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_MAX_REMEMBERED_HOSTS = 1000

_log = structlog.get_logger()


class Application:
    """
    hosts maps lower-case host names to locations; every other name is the server's own and has the default location
    (design: `127.0.0.1:5000/p/a` is `gcr.io/p/a`).
    """

    def __init__(self, router: Router, hosts: Mapping[str, str], default_location: str) -> None:
        self._router = router
        self._hosts = hosts
        self._default = default_location
        self._remembered: dict[bytes, str] = {}

    async def handle(self, request: Request, host: bytes) -> Response:
        """Never raises but when the connection is broken."""
        try:
            location = self._remembered.get(host)
            request.location = location if location is not None else self._location(host)
            return await self._router.handle(request)
        except StorageError as error:
            _log.error("storage failed", **_of(request), error=str(error), cause=repr(error.__cause__))
            return _named(request, distribution_error(error))
        except RoadsteadError as error:
            return _named(request, distribution_error(error))
        except ConnectionError:
            raise
        except Exception:
            _log.exception("request failed", **_of(request))
            return _named(request, internal_error())

    def _location(self, host: bytes) -> str:
        """Raises RequestInvalid: a Host that is none is an attempt to be taken for another (RFC 9112, 3.2)."""
        match = _HOST.fullmatch(host.decode("latin-1"))
        if match is None:
            raise RequestInvalid("the Host header must be NAME or NAME:PORT")
        # `eu.gcr.io.` is the same name with DNS's root.
        location = self._hosts.get(match["name"].lower().removesuffix("."), self._default)
        if len(self._remembered) < _MAX_REMEMBERED_HOSTS:
            self._remembered[host] = location
        return location


async def nothing_here(request: Request, _: bytes) -> Response:
    """Instead of Application.handle, where a process only works."""
    return _named(request, distribution_error(NotFound("this is a worker: it serves no images")))


def _of(request: Request) -> dict[str, str]:
    """What a line of the log says of a request. Its query and headers may hold secrets."""
    return {"request_id": request.id, "method": request.method, "path": request.path}


def _named(request: Request, response: Response) -> Response:
    """An error that somebody may ask about."""
    response.headers.append(("x-request-id", request.id))
    return response
