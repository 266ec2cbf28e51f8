"""The root of the HTTP floor: which API, which location, which route; then errors become answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from roadstead.api import forwarded
from roadstead.api.distribution.routes import Router
from roadstead.api.errors import distribution_error, internal_error, nothing_here
from roadstead.api.health import PATHS
from roadstead.api.hosts import location_of
from roadstead.api.messages import Request, Response
from roadstead.errors import NotFound, RequestInvalid, RoadsteadError, StorageError

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_MAX_REMEMBERED_HOSTS = 1000

_log = structlog.get_logger()


# Cloud Logging and Cloud Build have a v2 as well; names of repositories are followed by something else (contract.md, mode B).
_GOOGLE_V2 = re.compile(r"/v2/(?:entries:list|projects/[^/]+/locations/[^/]+/(?:connections|operations)(?:[/:].*)?)")

Site = Mapping[str, Callable[[Request], Awaitable[Response]]]
"""First parts of paths, e.g. `/token`, `/v1`, and who answers there, always with an answer."""


class Application:
    """
    hosts maps lower-case host names to locations, and names that begin with them too (api/hosts.py); every other name is the server's own
    and has the default location (design: `127.0.0.1:5000/p/a` is `gcr.io/p/a`). router is None where images are not served; site:
    everything beside /v2/.
    proxies: whose word about a request's origin is believed.
    """

    def __init__(
        self, router: Router | None, hosts: Mapping[str, str], default_location: str, site: Site, proxies: Sequence[forwarded.Network] = ()
    ) -> None:
        self._router = router
        self._hosts = hosts
        self._default = default_location
        self._site = site
        self._proxies = proxies
        self._remembered: dict[bytes, str] = {}

    async def handle(self, request: Request, host: bytes) -> Response:
        """Never raises but when the connection is broken."""
        try:
            # Who only asks whether we live may do it in HTTP/1.0, which has no Host.
            if request.path not in PATHS:
                location = self._remembered.get(host)
                request.location = location if location is not None else self._location(host)
            if not request.path.startswith("/v2") or _GOOGLE_V2.fullmatch(request.path) is not None:
                return await self._elsewhere(request)
            if self._router is None:
                raise NotFound("this is a worker: it serves no images")
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

    async def _elsewhere(self, request: Request) -> Response:
        first = "/v2google" if request.path.startswith("/v2") else "/" + request.path[1:].partition("/")[0].partition(":")[0]
        handle = self._site.get(request.path if first in PATHS else first)
        if handle is None:
            return _named(request, nothing_here())
        forwarded.believe(request, self._proxies)
        if asyncio.current_task() is None:
            # The protocol starts handlers outside of tasks; these may want timeouts, which are a task's.
            await asyncio.sleep(0)
        response = await handle(request)
        return _named(request, response) if response.status >= 400 else response

    def _location(self, host: bytes) -> str:
        """Raises RequestInvalid: a Host that is none is an attempt to be taken for another (RFC 9112, 3.2)."""
        match = _HOST.fullmatch(host.decode("latin-1"))
        if match is None:
            raise RequestInvalid("the Host header must be NAME or NAME:PORT")
        location = location_of(self._hosts, match["name"]) or self._default
        if len(self._remembered) < _MAX_REMEMBERED_HOSTS:
            self._remembered[host] = location
        return location


def _of(request: Request) -> dict[str, str]:
    """What a line of the log says of a request. Its query and headers may hold secrets."""
    return {"request_id": request.id, "method": request.method, "path": request.path}


def _named(request: Request, response: Response) -> Response:
    """An error that somebody may ask about."""
    response.headers.append(("x-request-id", request.id))
    return response
