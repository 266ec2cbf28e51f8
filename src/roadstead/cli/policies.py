"""`roadstead iam policy`: who may do what in a project, or to one repository and what is below a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from roadstead.cli.client import Answer, As, Authority, Client, Output, Refused, Server, connected, part
from roadstead.cli.output import Failed, Format, print_json, print_rows
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Identity and access.")
policy = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Who may do what.")
app.add_typer(policy, name="policy")


@app.callback()
def _iam() -> None:
    """Identity and access."""


ATTEMPTS = 5
_CONFLICT = 409
_CONDITIONS = 3
# As Artifact Registry names Container Registry's hosts.
_REGISTRIES = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}
_DEFAULT = "gcr.io"

Project = Annotated[str, typer.Argument(metavar="[PROJECT]", help="The project's id, unless --repository is given.", show_default=False)]
Repository = Annotated[
    str, typer.Option(help="HOST/PROJECT[/PATH]: a registry, a repository, or all whose paths begin so.", show_default=False)
]
Member = Annotated[str, typer.Option(help="user:ADDRESS, serviceAccount:ADDRESS, group:NAME, domain:NAME, allUsers …")]
Role = Annotated[str, typer.Option(help="Such as roles/artifactregistry.reader.")]
Condition = Annotated[str, typer.Option(help="Only while this holds, an expression of CEL.", show_default=False)]
Title = Annotated[str, typer.Option(help="The condition's title.", show_default=False)]


@policy.command("show")
def show(
    project: Project = "",
    repository: Repository = "",
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Show who has which role there, not counting what is given further up.

    \b
    Example: roadstead iam policy show shop-images
    """
    with connected(server, account, ca) as api:
        found = _Place(api, project, repository).get()
    _print(found, output)


@policy.command("add-binding")
def add_binding(
    member: Member,
    role: Role,
    project: Project = "",
    repository: Repository = "",
    condition: Condition = "",
    title: Title = "",
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Give somebody a role.

    \b
    Example: roadstead iam policy add-binding shop-images --member group:web@example.com --role roles/artifactregistry.writer
    """
    wanted = _condition(condition, title)

    def add(bindings: list[Answer]) -> None:
        for binding in bindings:
            if binding["role"] == role and binding.get("condition") == wanted:
                binding["members"] = [*(each for each in binding["members"] if each != member), member]
                return
        bindings.append({"role": role, "members": [member], **({"condition": wanted} if wanted else {})})

    with connected(server, account, ca) as api:
        _print(_Place(api, project, repository).change(add), output)


@policy.command("remove-binding")
def remove_binding(
    member: Member,
    role: Role,
    project: Project = "",
    repository: Repository = "",
    condition: Condition = "",
    title: Title = "",
    any_condition: Annotated[bool, typer.Option("--all", help="Whatever the condition.")] = False,
    server: Server = "",
    account: As = "",
    ca: Authority = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Take a role away from somebody.

    \b
    Example: roadstead iam policy remove-binding shop-images --member user:bob@example.com --role roles/viewer
    """
    wanted = _condition(condition, title)

    def remove(bindings: list[Answer]) -> None:
        found = [
            each for each in bindings
            if each["role"] == role and member in each["members"] and (any_condition or each.get("condition") == wanted)
        ]  # fmt: skip
        if not found:
            raise Failed(f"{member} has no binding to {role} there{' with this condition' if wanted else ''}")
        for binding in found:
            binding["members"].remove(member)
        bindings[:] = [each for each in bindings if each["members"]]

    with connected(server, account, ca) as api:
        _print(_Place(api, project, repository).change(remove), output)


class _Place:
    """What has a policy: a project, a registry of one, or what is below a path in it."""

    def __init__(self, api: Client, project: str, repository: str) -> None:
        """Raises ConfigurationError."""
        if bool(project) == bool(repository):
            raise ConfigurationError("give either a project or --repository HOST/PROJECT[/PATH]")
        self._api = api
        self._is_project = bool(project)
        self._path = f"/v1/projects/{part(project)}" if project else f"/v1/{_repository(repository, urlsplit(api.server).netloc)}"

    def get(self) -> Answer:
        """With conditions."""
        if self._is_project:
            return self._api.post(f"{self._path}:getIamPolicy", {"options": {"requestedPolicyVersion": _CONDITIONS}})
        return self._api.get(f"{self._path}:getIamPolicy", {"options.requestedPolicyVersion": str(_CONDITIONS)})

    def change(self, edit: Callable[[list[Answer]], None]) -> Answer:
        """Once more with what is there then, when somebody else was faster. Raises Failed."""
        for attempt in range(1, ATTEMPTS + 1):
            found = self.get()
            bindings = found.get("bindings", [])
            edit(bindings)
            version = _CONDITIONS if any("condition" in each for each in bindings) else 1
            body: dict[str, Any] = {"policy": {"bindings": bindings, "etag": found.get("etag", ""), "version": version}}
            try:
                return self._api.post(f"{self._path}:setIamPolicy", body)
            except Refused as error:
                if error.status != _CONFLICT or attempt == ATTEMPTS:
                    raise
        raise AssertionError


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


def _condition(expression: str, title: str) -> dict[str, str] | None:
    """Raises ConfigurationError."""
    if title and not expression:
        raise ConfigurationError("--title is a condition's: give --condition too")
    return {"title": title or expression[:100], "expression": expression} if expression else None


def _print(found: Mapping[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print_json(found)
        return
    rows = [
        [each["role"], member, each.get("condition", {}).get("expression", "")]
        for each in sorted(found.get("bindings", []), key=lambda each: str(each["role"]))
        for member in each["members"]
    ]
    print_rows(["ROLE", "MEMBER", "CONDITION"], rows, "Nobody has a role there.")
