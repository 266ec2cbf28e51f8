"""Policies: who may do what in a project, to a service account, or to one repository and what is below a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from roadstead.cli.client import Answer, Client, Refused, part
from roadstead.cli.options import Options
from roadstead.cli.output import Failed, note, show_list, show_one
from roadstead.errors import ConfigurationError

ATTEMPTS = 5
_CONFLICT = 409
_CONDITIONS = 3
# As Artifact Registry names Container Registry's hosts.
_REGISTRIES = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_DEFAULT = "gcr.io"
_PARTS = ("expression", "title", "description")
# expression=…,title=…: an expression may have commas of its own.
_PART = re.compile(rf"(?:^|,)\s*({'|'.join(_PARTS)})=")

Member = Annotated[str, typer.Option(help="user:ADDRESS, serviceAccount:ADDRESS, group:NAME, domain:NAME, allUsers …")]
Role = Annotated[str, typer.Option(help="Such as roles/artifactregistry.reader.")]
Condition = Annotated[
    str,
    typer.Option(
        metavar="EXPRESSION",
        help="Only while this holds: expression=CEL,title=TEXT,description=TEXT, or None for no condition.",
        show_default=False,
    ),
]
AnyCondition = Annotated[bool, typer.Option("--all", help="Whatever the condition.")]
PolicyFile = Annotated[Path, typer.Argument(metavar="POLICY_FILE", help="JSON or YAML, as get-iam-policy prints it; - for standard input.")]

Edit = Callable[[list[Answer]], None]


class Place:
    """What has a policy."""

    def __init__(self, api: Client, path: str, asks_by_get: bool = False) -> None:
        self._api = api
        self._path = path
        self._asks_by_get = asks_by_get

    @classmethod
    def project(cls, api: Client, project: str) -> Place:
        return cls(api, f"/v1/projects/{part(project)}")

    @classmethod
    def service_account(cls, api: Client, email: str) -> Place:
        return cls(api, f"/v1/projects/-/serviceAccounts/{part(email)}")

    @classmethod
    def repository(cls, api: Client, text: str) -> Place:
        """HOST/PROJECT[/PATH]. Raises ConfigurationError."""
        return cls(api, f"/v1/{_repository(text, urlsplit(api.server).netloc)}", asks_by_get=True)

    def get(self) -> Answer:
        """With conditions."""
        if self._asks_by_get:
            return self._api.get(f"{self._path}:getIamPolicy", {"options.requestedPolicyVersion": str(_CONDITIONS)})
        return self._api.post(f"{self._path}:getIamPolicy", {"options": {"requestedPolicyVersion": _CONDITIONS}})

    def put(self, policy: Answer) -> Answer:
        return self._api.post(f"{self._path}:setIamPolicy", {"policy": policy})

    def change(self, edit: Edit) -> Answer:
        """Once more with what is there then, when somebody else was faster. Raises Failed."""
        for attempt in range(1, ATTEMPTS + 1):
            found = self.get()
            bindings = found.get("bindings", [])
            edit(bindings)
            version = _CONDITIONS if any("condition" in each for each in bindings) else 1
            try:
                return self.put({"bindings": bindings, "etag": found.get("etag", ""), "version": version})
            except Refused as error:
                if error.status != _CONFLICT or attempt == ATTEMPTS:
                    raise
        raise AssertionError


def adding(member: str, role: str, condition: dict[str, str] | None) -> Edit:
    def add(bindings: list[Answer]) -> None:
        for binding in bindings:
            if binding["role"] == role and binding.get("condition") == condition:
                binding["members"] = [*(each for each in binding["members"] if each != member), member]
                return
        bindings.append({"role": role, "members": [member], **({"condition": condition} if condition else {})})

    return add


def removing(member: str, role: str, condition: dict[str, str] | None, any_condition: bool) -> Edit:
    """Raises Failed where there is no such binding."""

    def remove(bindings: list[Answer]) -> None:
        found = [
            each for each in bindings
            if each["role"] == role and member in each["members"] and (any_condition or each.get("condition") == condition)
        ]  # fmt: skip
        if not found:
            raise Failed(f"{member} has no binding to {role} there{' with this condition' if condition else ''}")
        for binding in found:
            binding["members"].remove(member)
        bindings[:] = [each for each in bindings if each["members"]]

    return remove


def condition_of(text: str, title: str = "") -> dict[str, str] | None:
    """As --condition has it. Raises ConfigurationError."""
    if text in ("", "None"):
        if title:
            raise ConfigurationError("--title is a condition's: give --condition too")
        return None
    found = {"expression": text, "title": title} if not _PART.match(text) else _split(text)
    if not found.get("expression"):
        raise ConfigurationError("--condition needs expression=…, an expression of CEL")
    found["title"] = found.get("title") or found["expression"][:100]
    return found


def show(policy: Answer, options: Options) -> None:
    """As gcloud shows it; with --flatten it is a listing."""
    if options.flatten:
        show_list([policy], "yaml", options)
    else:
        show_one(policy, options)


def changed(policy: Answer, what: str, options: Options) -> None:
    note(f"Updated the IAM policy of {what}.")
    show_one(policy, options)


def read(file: Path) -> Answer:
    """Raises Failed."""
    import sys

    import yaml

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error
    try:
        # JSON is YAML too.
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Failed(f"{file} is neither JSON nor YAML") from error
    if not isinstance(found, dict) or not isinstance(found.get("bindings", []), list):
        raise Failed(f"{file} has no policy in it, as get-iam-policy prints one: {{bindings: [{{role: …, members: […]}}], etag: …}}")
    return found


def _split(text: str) -> dict[str, str]:
    """expression=…,title=… Raises ConfigurationError."""
    found = _PART.split(text)
    names, values = found[1::2], found[2::2]
    if len(set(names)) != len(names):
        raise ConfigurationError("--condition has each of expression, title and description once")
    return dict(zip(names, values, strict=True))


def _repository(text: str, own_host: str) -> str:
    """gcr.io/p/a/b → projects/p/locations/us/repositories/gcr.io/packages/a%2Fb. Raises ConfigurationError."""
    host, *parts = text.split("/")
    host = _DEFAULT if host == own_host else host
    if host not in _REGISTRIES:
        raise ConfigurationError(f"a repository begins with {', '.join(_REGISTRIES)} or the server's own {own_host}: {host!r} is none")
    # example.com/p is the project example.com:p.
    if len(parts) > 1 and "." in parts[0]:
        parts = [f"{parts[0]}:{parts[1]}", *parts[2:]]
    if not all(parts) or not parts:
        raise ConfigurationError("a repository is written HOST/PROJECT/PATH")
    registry = f"projects/{part(parts[0])}/locations/{_REGISTRIES[host]}/repositories/{host}"
    return f"{registry}/packages/{part('/'.join(parts[1:]))}" if parts[1:] else registry
