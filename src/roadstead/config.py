"""
Settings: defaults, then a TOML file, then ROADSTEAD_* variables, then the command line. The only reader of the environment.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from roadstead.errors import ConfigurationError

DEFAULT_LOCATION = "gcr"
MOST_SECONDS = 1e9

# A location's name is also its folder's.
LocationName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
HostName = Annotated[str, Meta(pattern="^[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?$")]


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """hosts: the names under which clients reach it; the first is the canonical one."""

    hosts: Annotated[tuple[HostName, ...], Meta(min_length=1)]


LOCATIONS = {
    DEFAULT_LOCATION: Location(hosts=("gcr.io",)),
    "us": Location(hosts=("us.gcr.io",)),
    "eu": Location(hosts=("eu.gcr.io",)),
    "asia": Location(hosts=("asia.gcr.io",)),
    "mirror": Location(hosts=("mirror.gcr.io",)),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    data: the folder of database and blobs. listen: HOST:PORT, port 0 for a free one. processes: serving processes, 0 for one
    for each core. Names under no location are the server's own and belong to the default location.
    """

    data: Path = Path("data")
    listen: Annotated[tuple[str, ...], Meta(min_length=1)] = ("127.0.0.1:5000",)
    processes: Annotated[int, Meta(ge=0, le=1024)] = 0
    locations: dict[LocationName, Location] = msgspec.field(default_factory=LOCATIONS.copy)
    gc_interval_seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = 300.0
    gc_grace_seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 3600.0
    upload_expiry_seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = 86400.0
    max_blob_bytes: Annotated[int, Meta(gt=0)] = 1 << 40
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def addresses(self) -> list[tuple[str, int]]:
        """Raises ConfigurationError."""
        return [_address(text) for text in self.listen]

    def hosts(self) -> dict[str, str]:
        """Host name → location."""
        return {host.lower(): name for name, location in self.locations.items() for host in location.hosts}


def load(file: Path | None, overrides: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """overrides: what the command line says, None for what it does not. Raises ConfigurationError."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environment(os.environ if environment is None else environment))
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings are wrong: {error}") from error
    settings = msgspec.structs.replace(settings, locations={**LOCATIONS, **settings.locations})
    _check_hosts(settings.locations)
    return settings


def only_loopback(addresses: Sequence[tuple[str, int]]) -> None:
    """
    Until there are accounts everyone who reaches the server may do everything, so it stays on this machine.

    Raises ConfigurationError.
    """
    for host, port in addresses:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ConfigurationError(
                f"{host}:{port} can be reached from other machines, and this version has no accounts yet: "
                "listen on 127.0.0.1 or [::1], and put a proxy that authenticates in front if others need it"
            )


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the settings in {file}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = environment.get(f"ROADSTEAD_{field.name.upper()}")
        if text is None:
            continue
        values[field.name] = tuple(text.split(",")) if field.name == "listen" else text
    return values


def _path(kind: type, value: object) -> object:
    """msgspec leaves it to us to make a Path of a text."""
    if kind is not Path or not isinstance(value, str | Path) or value == "":
        raise ValueError("Expected the path of a folder")
    return Path(value)


def _check_hosts(locations: Mapping[str, Location]) -> None:
    """A name under two locations would send pushes to the wrong storage. Raises ConfigurationError."""
    owners: dict[str, str] = {}
    for name, location in locations.items():
        for host in location.hosts:
            owner = owners.setdefault(host.lower(), name)
            if owner != name:
                raise ConfigurationError(f"the host {host} belongs to two locations, {owner} and {name}: give it to one of them")


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ConfigurationError(f"listen must be HOST:PORT, not {text!r}")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise ConfigurationError(f"listen must be an IP address or localhost with a port, not {text!r}") from error
    return host, int(port)
