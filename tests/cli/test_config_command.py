"""`roadstead config`: which project, server and account commands take where nothing is said."""

from __future__ import annotations

import stat

import pytest

from roadstead.cli.configurations import Configurations, checked, known
from roadstead.cli.output import Failed
from roadstead.errors import ConfigurationError
from tests.cli.conftest import OWNER
from tests.kit.site import Site
from tests.kit.terminal import Terminal


@pytest.mark.slow
def test_properties_are_set_shown_and_forgotten(terminal: Terminal) -> None:
    terminal.said("config", "set", "project", "shop-images")
    terminal.said("config", "set", "core/server", "Registry.Example.com/")

    assert "[core]\nproject = shop-images\nserver = https://registry.example.com\n" == terminal.said("config", "list")
    assert "shop-images\n" == terminal.said("config", "get-value", "project")
    assert {"core": {"project": "shop-images", "server": "https://registry.example.com"}} == terminal.json("config", "list")
    file = terminal.logins.with_name("configurations") / "config_default"
    assert "0o600" == oct(stat.S_IMODE(file.stat().st_mode))
    terminal.said("config", "unset", "project")
    done = terminal.run("config", "get", "core/project")
    assert (0, "", "(unset)\n") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_configurations_are_made_chosen_and_deleted(terminal: Terminal) -> None:
    terminal.said("config", "set", "project", "first")
    terminal.said("config", "configurations", "create", "work")
    terminal.said("config", "set", "project", "second")

    table = terminal.said("config", "configurations", "list").splitlines()

    assert ["NAME", "IS_ACTIVE", "ACCOUNT", "PROJECT", "SERVER"] == table[0].split()
    assert [["default", "False", "first"], ["work", "True", "second"]] == [line.split() for line in table[1:]]
    assert "first\n" == terminal.said("config", "get", "project", "--configuration=default")
    assert "is in use" in terminal.refused("config", "configurations", "delete", "work", "--quiet")
    terminal.said("config", "configurations", "activate", "default")
    assert "is_active: false" in terminal.said("config", "configurations", "describe", "work")
    terminal.said("config", "configurations", "delete", "work", "--quiet")
    assert "default\n" == terminal.said("config", "configurations", "list", "--format=value(name)")


@pytest.mark.slow
def test_the_flag_goes_before_the_variable_and_that_before_the_configuration(owner: Terminal, pages: Site) -> None:
    for name in ("by-property", "by-variable", "by-flag-12"):
        owner.said("projects", "create", name)
    owner.said("config", "configurations", "create", "order", "--no-activate")
    owner.said("config", "set", "project", "by-property", "--configuration=order")
    variable = Terminal(owner.home, ROADSTEAD_PROJECT="by-variable", ROADSTEAD_CONFIGURATION="order")
    chosen = Terminal(owner.home, ROADSTEAD_CONFIGURATION="order")

    def project(terminal: Terminal, *flags: str) -> str:
        """services enable says of which project."""
        return terminal.said(*flags, "services", "enable", "containerregistry").rpartition(" ")[2].strip().rstrip(".")

    assert "by-property" == project(chosen)
    assert "by-variable" == project(variable)
    assert "by-flag-12" == project(variable, "--project", "by-flag-12")
    assert "say which project" in owner.refused("services", "list", code=2)


@pytest.mark.slow
def test_a_configuration_says_who_commands_act_as(owner: Terminal, terminal: Terminal, pages: Site, person: str) -> None:
    """Whoever logs in with a configuration is who it means from then on; other configurations keep theirs."""
    terminal.log_in(pages, OWNER)
    terminal.said("config", "configurations", "create", "theirs")
    terminal.log_in(pages, person)
    # The configuration in use now had no account of its own: then it is whoever logged in last.
    assert person == terminal.said("auth", "list", "--filter=status:ACTIVE", "--format=value(account)").strip()
    terminal.said("config", "set", "account", OWNER)

    assert OWNER == terminal.said("auth", "list", "--filter=status:ACTIVE", "--format=value(account)").strip()
    terminal.log_in(pages, person)
    assert person == terminal.said("config", "get", "account").strip()
    terminal.said("auth", "revoke", person)
    assert "" == terminal.said("config", "get", "account")


@pytest.mark.slow
def test_how_things_are_printed_and_asked_can_be_a_property(owner: Terminal) -> None:
    terminal = Terminal(owner.home, ROADSTEAD_CONFIGURATION="printing")
    owner.said("config", "configurations", "create", "printing", "--no-activate")
    terminal.said("config", "set", "format", "csv[no-heading](projectId)")
    terminal.said("config", "set", "disable_prompts", "True")
    owner.said("projects", "create", "printed-1")

    assert "printed-1" in terminal.said("projects", "list").splitlines()
    terminal.said("projects", "delete", "printed-1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", "colour", "red"],
        ["set", "compute/zone", "europe-west1-b"],
        ["set", "server", "https://h/path"],
        ["set", "format", "table(a"],
        ["set", "disable_prompts", "perhaps"],
        ["configurations", "create", "Work!"],
    ],
    ids=["name", "section", "server", "format", "switch", "configuration"],
)
def test_what_there_is_not_is_wrong_usage(terminal: Terminal, arguments: list[str]) -> None:
    terminal.refused("config", *arguments, code=2)


def test_a_configuration_that_there_is_not_is_told_in_a_sentence(terminal: Terminal) -> None:
    assert "there is no configuration nosuch" in terminal.refused("projects", "list", "--configuration", "nosuch")


def test_a_damaged_file_is_told_of_and_kept(terminal: Terminal) -> None:
    folder = terminal.logins.with_name("configurations")
    folder.mkdir(parents=True)
    (folder / "config_default").write_bytes(b"\xff no section")

    assert "cannot be read" in terminal.refused("config", "set", "project", "p")
    assert b"\xff no section" == (folder / "config_default").read_bytes()


def test_what_is_written_is_read_again(terminal: Terminal) -> None:
    """Also what other programs might take for something else."""
    store = Configurations(terminal.home)
    odd = {"core/project": "p%(x)s", "core/format": "value[separator='='](a;b # c)", "core/account": "[core]"}

    store.change("default", dict(odd))

    assert odd == store.get().properties
    with pytest.raises(Failed):
        store.activate("other")
    assert ("core/custom_ca_certs_file", "core/format") == (known("ca"), known("core/default_format"))
    with pytest.raises(ConfigurationError):
        checked("core/project", "two\nlines")
