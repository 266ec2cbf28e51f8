"""
The flags that gcloud has on every command, and those of its listings. `@asking` and `@listing` add them to a command.

The function takes `options: Options` first, and its own arguments after it:

    @app.command("list")
    @listing
    def list_projects(options: Options, deleted: …) -> None:
        with options.connect() as api:
            found = api.every("/v1/projects", "projects", most=options.most)
        show_list(found, "table(projectId:sort=1, name)", options, "There are no projects.")

What is not said comes from the variables ROADSTEAD_…, then from the configuration in use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

import typer

from roadstead.cli import formats
from roadstead.cli.client import TIMEOUT_SECONDS, Account, Authority, Client, Server, address, connected
from roadstead.cli.completion import project_names
from roadstead.cli.configurations import Configurations
from roadstead.errors import ConfigurationError

Project = Annotated[
    str,
    typer.Option(
        "--project",
        envvar="ROADSTEAD_PROJECT",
        help="The project's id. [default: the configuration's core/project]",
        show_default=False,
        autocompletion=project_names,
    ),
]
ConfigurationName = Annotated[
    str, typer.Option("--configuration", envvar="ROADSTEAD_CONFIGURATION", help="Use this configuration.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Ask nothing: yes to what is asked.")]
Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="FORMAT", help="table, json, yaml, csv(KEYS), value(KEYS) … as in gcloud topic formats.", show_default=False
    ),
]
Filter = Annotated[
    str, typer.Option("--filter", metavar="EXPRESSION", help="Only these rows: KEY:WORD, KEY=VALUE, AND, OR, NOT …", show_default=False)
]
SortBy = Annotated[
    str, typer.Option("--sort-by", metavar="[~]KEY,…", help="In the order of these keys; ~ turns it round.", show_default=False)
]
Flatten = Annotated[
    str, typer.Option("--flatten", metavar="KEY[],…", help="A row for each item of these lists: bindings[].members", show_default=False)
]
Limit = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--limit", min=1, metavar="N", help="At most so many rows.", show_default=False),
]
PageSize = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--page-size", min=1, metavar="N", help="Rows that are asked for at once, and that stand in one table.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the flags, the variables and the configuration say together. given_…: by flag or variable only.

    limit, page_size: None for all, and for as is usual.
    """

    server: str = ""
    account: str = ""
    ca: Path | None = None
    project: str = ""
    given_project: str = ""
    given_server: str = ""
    given_format: str = ""
    configuration: str = ""
    quiet: bool = False
    format: str = ""
    filter: str = ""
    sort_by: str = ""
    flatten: str = ""
    limit: int | None = None
    page_size: int | None = None

    @property
    def most(self) -> int | None:
        """So many rows of the server's are enough; None where all of them are needed."""
        return None if self.filter or self.sort_by or self.flatten else self.limit

    def connect(self, seconds: float = TIMEOUT_SECONDS) -> AbstractContextManager[Client]:
        """Raises Failed."""
        return connected(self.server, self.account, self.ca, seconds)

    def need_project(self) -> str:
        """Raises ConfigurationError."""
        if not self.project:
            raise ConfigurationError("say which project: --project PROJECT, or roadstead config set project PROJECT")
        return self.project


def _asked(
    server: Server = "",
    account: Account = "",
    ca: Authority = None,
    project: Project = "",
    configuration: ConfigurationName = "",
    quiet: Quiet = False,
    format: Format = "",
) -> None:
    """The flags of every command."""


def _listed(
    filter: Filter = "",
    sort_by: SortBy = "",
    flatten: Flatten = "",
    limit: Limit = None,
    page_size: PageSize = None,
) -> None:
    """The flags of listings besides."""


def asking(function: Callable[..., None]) -> Callable[..., None]:
    """With the flags of every command; options is made of them. A wrong --format is told of before anything is done."""
    return _with(function, _parameters(_asked), lambda options: formats.wanted(options.given_format, "yaml"))


def listing(function: Callable[..., None]) -> Callable[..., None]:
    """With the flags of every command and those of listings."""
    return _with(function, {**_parameters(_listed), **_parameters(_asked)}, lambda options: None)


def made_of(flags: Mapping[str, Any]) -> Options:
    """The configuration fills in what is not said. Raises Failed, ConfigurationError."""
    known = Configurations().get(flags.get("configuration") or "")
    ca = known.get("core/custom_ca_certs_file")
    own = known.get("core/server")
    # An account of the configuration's is one at its server.
    account = known.get("core/account") if not flags.get("server") or not own or _same(flags["server"], own) else ""
    defaults = {
        "server": own,
        "account": account,
        "project": known.get("core/project"),
        "format": known.get("core/format"),
        "quiet": known.get("core/disable_prompts") == "true",
        "ca": Path(ca) if ca and (not flags.get("server") or _same(flags["server"], own)) else None,
    }
    given = {f"given_{name}": flags.get(name) or "" for name in ("project", "server", "format")}
    return Options(**{**flags, **given, **{name: flags.get(name) or default for name, default in defaults.items()}})


def _same(left: str, right: str) -> bool:
    return bool(right) and address(left) == address(right)


def _parameters(function: Callable[..., None]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return {name: each.replace(annotation=hints[name]) for name, each in inspect.signature(function).parameters.items()}


def _typed(context: Any, name: str) -> bool:
    """On the command line, not in a variable. context: click's."""
    source = context.get_parameter_source(name)
    return bool(source is not None and source.name == "COMMANDLINE")


def _with(function: Callable[..., None], flags: Mapping[str, inspect.Parameter], check: Callable[[Options], object]) -> Callable[..., None]:
    own = _parameters(function)
    first, *others = own.values()
    if first.name != "options":
        raise TypeError(f"{function.__name__} must take options first")
    clash = set(flags) & {each.name for each in others}
    if clash:
        raise TypeError(f"{function.__name__} has flags of its own that all commands have: {', '.join(clash)}")

    def command(context: typer.Context, **given: Any) -> None:
        said = {name: given.pop(name) for name in flags}
        # They can also stand before the command: roadstead --project shop-images services list. Then they go before variables too.
        root = context.find_root()
        before = {name for name in flags if _typed(root, name) and not _typed(context, name)}
        options = made_of({**said, **{name: root.params[name] for name in before}})
        check(options)
        function(options, **given)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*others, *flags.values())), context]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    command.__module__ = function.__module__
    return command
