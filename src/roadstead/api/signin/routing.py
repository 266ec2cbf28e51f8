"""How the pages' and the OAuth endpoints' tables are walked: method, template, permission, handler."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from roadstead.api.messages import Request, Response
from roadstead.errors import MethodUnsupported, NotFound

T = TypeVar("T")
A = TypeVar("A")


class Permission(enum.Enum):
    """
    PUBLIC: for everyone. SESSION: for whoever is signed in by a browser; others are sent to sign in first.

    What a token may do at a PUBLIC OAuth endpoint is that token's own matter.
    """

    PUBLIC = "public"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Route(Generic[T, A]):
    """template: a path; one part of it may be `<name>`, see named(). handler takes the endpoints and what they make of a request."""

    method: str
    template: str
    permission: Permission
    handler: Callable[[T, A], Awaitable[Response]]


class Table(Generic[T, A]):
    def __init__(self, routes: Sequence[Route[T, A]]) -> None:
        self._fixed: dict[str, dict[str, Route[T, A]]] = {}
        for route in routes:
            self._fixed.setdefault(route.template, {})[route.method] = route

    def find(self, request: Request) -> Route[T, A]:
        """Its template becomes the request's route. Raises NotFound, MethodUnsupported."""
        methods = self._fixed.get(request.path) or self._fixed.get(named(request.path))
        if methods is None:
            raise NotFound("there is no such page")
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise MethodUnsupported(f"{request.method} is not possible here", tuple(sorted(methods)))
        request.route = route.template
        return route


def named(path: str) -> str:
    """`/signin/oidc/corp/callback` → `/signin/oidc/<name>/callback`; `/static/x.css` → `/static/<name>`."""
    parts = path.split("/")
    if len(parts) in (4, 5) and parts[1:3] == ["signin", "oidc"] and parts[3]:
        parts[3] = "<name>"
    elif len(parts) == 3 and parts[1] == "static" and parts[2]:
        parts[2] = "<name>"
    return "/".join(parts)
