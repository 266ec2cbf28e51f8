"""
Named configurations, as gcloud has them: which project, server and account commands take where nothing is said.

Each is a file `configurations/config_NAME` in the person's folder, in sections: `[core]`, `project = shop-images`. `active_config` has the
name of the one in use. Files are 0600 and replaced whole.
"""

from __future__ import annotations

import configparser
import io
import re
from dataclasses import dataclass
from pathlib import Path

from roadstead import config
from roadstead.cli import projections
from roadstead.cli.client import address
from roadstead.cli.logins import replace
from roadstead.cli.output import Failed
from roadstead.errors import ConfigurationError

DEFAULT = "default"
PROPERTIES = {
    "core/project": "the project that commands work in",
    "core/account": "which of the accounts that are logged in",
    "core/server": "the server, as https://registry.example.com",
    "core/custom_ca_certs_file": "a PEM file with the server's authority",
    "core/format": "how what is shown is printed, as with --format",
    "core/disable_prompts": "true: ask nothing, as with --quiet",
}
_NAME = re.compile(r"[a-z][-a-z0-9]{0,62}")
_OTHER_NAMES = {"ca": "custom_ca_certs_file", "default_format": "format"}
_SWITCHES = {"true": "true", "1": "true", "yes": "true", "on": "true", "false": "false", "0": "false", "no": "false", "off": "false"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """properties: by SECTION/NAME."""

    name: str
    is_active: bool
    properties: dict[str, str]

    def get(self, name: str) -> str:
        return self.properties.get(name, "")


class Configurations:
    def __init__(self, folder: Path | None = None) -> None:
        """folder: config.user_folder() if it is not given."""
        self._folder = folder or config.user_folder()

    @property
    def active(self) -> str:
        """Its name."""
        try:
            name = (self._folder / "active_config").read_text().strip()
        except (OSError, UnicodeDecodeError):
            return DEFAULT
        return name if _NAME.fullmatch(name) else DEFAULT

    def all(self) -> list[Configuration]:
        """Raises Failed."""
        files = sorted((self._folder / "configurations").glob("config_*"))
        names = {each.name.removeprefix("config_") for each in files}
        return [self.get(name) for name in sorted(names | {self.active}) if _NAME.fullmatch(name)]

    def get(self, name: str = "") -> Configuration:
        """The active one, if no name is given. Raises Failed where there is none of that name."""
        name = name or self.active
        file = self._file(name)
        if not file.exists() and name not in (DEFAULT, self.active):
            raise Failed(f"there is no configuration {name}: roadstead config configurations list shows those there are")
        return Configuration(name=name, is_active=name == self.active, properties=self._read(file))

    def create(self, name: str) -> None:
        """Raises Failed, ConfigurationError."""
        file = self._file(name)
        if file.exists():
            raise Failed(f"there is a configuration {name} already")
        self._write(file, {})

    def activate(self, name: str) -> None:
        """Raises Failed, ConfigurationError."""
        self.get(name)
        self._make_folder()
        replace(self._folder / "active_config", name.encode())

    def delete(self, name: str) -> None:
        """Raises Failed, ConfigurationError."""
        if name == self.active:
            raise Failed(f"{name} is in use: activate another configuration first")
        self.get(name)
        self._file(name).unlink(missing_ok=True)

    def change(self, name: str, changes: dict[str, str | None]) -> None:
        """changes: by SECTION/NAME; None unsets. Raises Failed, ConfigurationError."""
        found = self.get(name)
        properties = {**found.properties, **changes}
        self._write(self._file(found.name), {each: text for each, text in properties.items() if text is not None})

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigurationError("a configuration's name is small letters, digits and dashes, and begins with a letter")
        return self._folder / "configurations" / f"config_{name}"

    def _read(self, file: Path) -> dict[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text(encoding="utf-8") if file.exists() else "")
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise Failed(f"{file} cannot be read: {error}") from error
        return {f"{section}/{name}": text for section in parser.sections() for name, text in parser.items(section)}

    def _write(self, file: Path, properties: dict[str, str]) -> None:
        parser = configparser.ConfigParser(interpolation=None)
        for each, text in sorted(properties.items()):
            section, _, name = each.partition("/")
            if not parser.has_section(section):
                parser.add_section(section)
            parser.set(section, name, text)
        written = io.StringIO()
        parser.write(written)
        self._make_folder()
        replace(file, written.getvalue().encode())

    def _make_folder(self) -> None:
        try:
            (self._folder / "configurations").mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"{self._folder} cannot be used: {error.strerror}") from error


def known(text: str) -> str:
    """project → core/project. Raises ConfigurationError for what is no property."""
    section, _, name = text.rpartition("/")
    found = f"{section or 'core'}/{_OTHER_NAMES.get(name, name)}"
    if found not in PROPERTIES:
        raise ConfigurationError(f"there is no property {text}: there are {', '.join(PROPERTIES)}")
    return found


def checked(name: str, text: str) -> str:
    """A property's value, as it is kept. Raises ConfigurationError."""
    if not text.isprintable() or not text:
        raise ConfigurationError(f"{name} must be one line of text")
    if name == "core/disable_prompts":
        if text.lower() not in _SWITCHES:
            raise ConfigurationError(f"{name} is true or false")
        return _SWITCHES[text.lower()]
    if name == "core/custom_ca_certs_file":
        return str(Path(text).absolute())
    if name == "core/server":
        return address(text)
    if name == "core/format":
        projections.parse(text)
    return text
