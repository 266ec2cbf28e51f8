"""`roadstead config`: which project, server and account commands take where nothing is said."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roadstead.cli.configurations import PROPERTIES, Configuration, Configurations, checked, known
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, confirm, note, show_done, show_list, show_one

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Which project, server and account commands take where nothing is said."
)
configurations = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Several sets of properties, one of which is in use.")
app.add_typer(configurations, name="configurations")

COLUMNS = "table(name, is_active, properties.core.account, properties.core.project, properties.core.server)"


def _property_names(incomplete: str) -> list[str]:
    return [each for name in PROPERTIES for each in (name, name.removeprefix("core/")) if each.startswith(incomplete)]


def _configuration_names(incomplete: str) -> list[str]:
    try:
        return [each.name for each in Configurations().all() if each.name.startswith(incomplete)]
    except Failed:
        return []


Property = Annotated[
    str, typer.Argument(metavar="PROPERTY", help=f"One of {', '.join(PROPERTIES)}; core/ can be left out.", autocompletion=_property_names)
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Small letters, digits and dashes, with a letter first.", autocompletion=_configuration_names),
]


@app.command("set")
@asking
def set_property(
    options: Options, name: Property, value: Annotated[str, typer.Argument(metavar="VALUE", help="What it is from now on.")]
) -> None:
    """
    Set a property of the configuration in use.

    \b
    Example: roadstead config set project shop-images
    """
    whole = known(name)
    kept = checked(whole, value)
    Configurations().change(options.configuration, {whole: kept})
    note(f"Updated property [{whole}].")


@app.command("unset")
@asking
def unset_property(options: Options, name: Property) -> None:
    """
    Forget a property of the configuration in use.

    \b
    Example: roadstead config unset project
    """
    whole = known(name)
    Configurations().change(options.configuration, {whole: None})
    note(f"Unset property [{whole}].")


def _get(options: Options, name: str) -> None:
    found = Configurations().get(options.configuration).get(known(name))
    if found:
        show_one(found, options, "value(.)")
    else:
        note("(unset)")


@app.command("get")
@asking
def get_property(options: Options, name: Property) -> None:
    """
    Print a property of the configuration in use.

    \b
    Example: roadstead config get project
    """
    _get(options, name)


@app.command("get-value", hidden=True)
@asking
def get_value(options: Options, name: Property) -> None:
    """
    Print a property of the configuration in use. The same as get.

    \b
    Example: roadstead config get-value project
    """
    _get(options, name)


@app.command("list")
@asking
def list_properties(
    options: Options,
    every: Annotated[bool, typer.Option("--all", help="Also those that are not set.")] = False,
) -> None:
    """
    Print the properties of the configuration in use.

    \b
    Example: roadstead config list --format='value(core.project)'
    """
    found = Configurations().get(options.configuration)
    shown = _sections({**(dict.fromkeys(PROPERTIES, None) if every else {}), **found.properties})
    if options.given_format:
        show_one(shown, options)
        return
    for section, properties in shown.items():
        print(f"[{section}]")
        for name, value in sorted(properties.items()):
            print(f"{name} = {value}" if value is not None else f"{name} (unset)")
    note(f"\nYour active configuration is: [{found.name}]")


@configurations.command("list")
@listing
def list_configurations(options: Options) -> None:
    """
    List the configurations, and which is in use.

    \b
    Example: roadstead config configurations list
    """
    show_list([_shown(each) for each in Configurations().all()], COLUMNS, options)


@configurations.command("describe")
@asking
def describe(options: Options, name: Name) -> None:
    """
    Show a configuration's properties.

    \b
    Example: roadstead config configurations describe default
    """
    show_one(_shown(Configurations().get(name)), options)


@configurations.command("create")
@asking
def create(
    options: Options, name: Name, activate: Annotated[bool, typer.Option("--activate/--no-activate", help="Use it from now on.")] = True
) -> None:
    """
    Make a configuration, and use it from now on.

    \b
    Example: roadstead config configurations create work
    """
    store = Configurations()
    store.create(name)
    if activate:
        store.activate(name)
    show_done(_shown(store.get(name)), f"Created [{name}]{' and activated it' if activate else ''}.", options)


@configurations.command("activate")
@asking
def activate(options: Options, name: Name) -> None:
    """
    Use a configuration from now on.

    \b
    Example: roadstead config configurations activate work
    """
    Configurations().activate(name)
    show_done(_shown(Configurations().get(name)), f"Activated [{name}].", options)


@configurations.command("delete")
@asking
def delete(options: Options, name: Name) -> None:
    """
    Delete a configuration that is not in use. Logins stay.

    \b
    Example: roadstead config configurations delete work
    """
    store = Configurations()
    gone = _shown(store.get(name))
    confirm("This configuration will be deleted.", options, [name])
    store.delete(name)
    show_done(gone, f"Deleted [{name}].", options)


def _shown(configuration: Configuration) -> dict[str, Any]:
    """As gcloud shows one."""
    return {"name": configuration.name, "is_active": configuration.is_active, "properties": _sections(configuration.properties)}


def _sections(properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each, value in sorted(properties.items()):
        section, _, name = each.partition("/")
        found.setdefault(section, {})[name] = value
    return found
