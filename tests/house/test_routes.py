"""Every route says who may use it."""

from __future__ import annotations

import inspect
import re

import pytest

from roadstead.api.distribution.permissions import Permission
from roadstead.api.distribution.routes import ROUTES, Route, _kind
from roadstead.api.google.routes import ROUTES as GOOGLE
from roadstead.api.google.routing import AUTHENTICATED, PUBLIC
from roadstead.api.google.routing import Route as GoogleRoute
from roadstead.iam.permissions import PERMISSIONS

READS = {"GET", "HEAD"}
# They ask for what they need by themselves: a token is the credential.
PUBLIC_GOOGLE = {"/v1/token", "/v1/introspect"}


def named(route: Route) -> str:
    return f"{route.method} {route.template}"


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_names_its_permission(route: Route) -> None:
    """In its own row, where a reader looks for it; PUBLIC is one of them and has to be said."""
    assert isinstance(route.permission, Permission)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_only_the_token_service_is_public(route: Route) -> None:
    """A new public route is a decision, and this list is where it is made."""
    assert (route.permission is Permission.PUBLIC) == (route.template == "/v2/token")


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_what_changes_something_needs_more_than_pull(route: Route) -> None:
    if route.method not in READS and route.permission is not Permission.PUBLIC:
        assert route.permission in (Permission.PUSH, Permission.DELETE)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_has_a_handler(route: Route) -> None:
    assert inspect.iscoroutinefunction(route.handler)
    assert ["context"] == list(inspect.signature(route.handler).parameters)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_template_is_of_the_api_and_has_at_most_a_name_and_one_more_part(route: Route) -> None:
    assert re.fullmatch(r"/v2/(_catalog|token)?|/v2/<name>/[a-z/]+(<reference>|<digest>|<upload>|list|/)", route.template)


def test_no_two_rows_answer_the_same_request() -> None:
    rows = [(route.method, _kind(route.template)) for route in ROUTES]

    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("route", GOOGLE, ids=lambda route: f"{route.method} {route.template}")
def test_a_google_route_names_a_permission_that_roles_can_give(route: GoogleRoute) -> None:
    """A misspelt one would be held by nobody, and PUBLIC has to be said."""
    assert route.permission in {PUBLIC, AUTHENTICATED} | PERMISSIONS
    if route.permission == PUBLIC:
        assert route.template in PUBLIC_GOOGLE


def test_no_two_google_rows_answer_the_same_request() -> None:
    rows = [(route.method, re.sub(r"\{\w+", "{", route.template)) for route in GOOGLE]

    assert sorted(set(rows)) == sorted(rows)
