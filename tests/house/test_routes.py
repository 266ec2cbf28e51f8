"""Every route says who may use it."""

from __future__ import annotations

import inspect
import re

import pytest

from roadstead.api.distribution.routes import ROUTES, Permission, Route, _kind

READS = {"GET", "HEAD"}


def named(route: Route) -> str:
    return f"{route.method} {route.template}"


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_names_its_permission(route: Route) -> None:
    """In its own row, where a reader looks for it; PUBLIC is one of them and has to be said."""
    assert isinstance(route.permission, Permission)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_only_the_version_is_public(route: Route) -> None:
    """A new public route is a decision, and this list is where it is made."""
    assert (route.permission is Permission.PUBLIC) == (route.template == "/v2/")


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_what_changes_something_needs_more_than_pull(route: Route) -> None:
    if route.method not in READS:
        assert route.permission in (Permission.PUSH, Permission.DELETE)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_route_has_a_handler(route: Route) -> None:
    assert inspect.iscoroutinefunction(route.handler)
    assert ["context"] == list(inspect.signature(route.handler).parameters)


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_template_is_of_the_api_and_has_at_most_a_name_and_one_more_part(route: Route) -> None:
    assert re.fullmatch(r"/v2/(_catalog)?|/v2/<name>/[a-z/]+(<reference>|<digest>|<upload>|list|/)", route.template)


def test_no_two_rows_answer_the_same_request() -> None:
    rows = [(route.method, _kind(route.template)) for route in ROUTES]

    assert len(rows) == len(set(rows))
