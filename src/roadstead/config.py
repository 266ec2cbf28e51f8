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
MOST_DRAIN_SECONDS = 3600

# A location's name is also its folder's.
LocationName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
HostName = Annotated[str, Meta(pattern="^[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?$")]

# A name as it stands in a Host header, without the port; an IPv6 address in brackets.
HeaderName = Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])$")]


class Location(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    hosts: the names under which clients reach it; the first is the canonical one.

    storage: "" for a folder below data, else a bucket: s3://BUCKET[/PREFIX], gs://… or az://…; options: how to reach it, e.g.
    endpoint, region, access_key_id, secret_access_key (what is not given comes from the provider's own variables, AWS_… and so on).
    redirect: let clients fetch large blobs from the bucket itself; public_endpoint: its address as clients reach it, if that
    is another one.
    """

    hosts: Annotated[tuple[HostName, ...], Meta(min_length=1)]
    storage: Annotated[str, Meta(pattern=r"^$|^(s3|gs|az)://[^/?#]+(/[^?#]*)?$")] = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    redirect: bool = True
    public_endpoint: str = ""


LOCATIONS = {
    DEFAULT_LOCATION: Location(hosts=("gcr.io",)),
    "us": Location(hosts=("us.gcr.io",)),
    "eu": Location(hosts=("eu.gcr.io",)),
    "asia": Location(hosts=("asia.gcr.io",)),
    "mirror": Location(hosts=("mirror.gcr.io",)),
}


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Advisories to fetch now and then. urls: of all its files; what they are, their content tells."""

    urls: Annotated[tuple[Annotated[str, Meta(pattern=r"^https?://[^#@\s]+$")], ...], Meta(min_length=1)]


_ALPINE_RELEASES = ("v3.18", "v3.19", "v3.20", "v3.21", "v3.22", "v3.23", "edge")
FEEDS = {
    "debian-tracker": Feed(urls=("https://security-tracker.debian.org/tracker/data/json",)),
    "alpine-secdb": Feed(
        urls=tuple(f"https://secdb.alpinelinux.org/{release}/{part}.json" for release in _ALPINE_RELEASES for part in ("main", "community"))
    ),
    "ubuntu-osv": Feed(urls=("https://security-metadata.canonical.com/osv/osv-all.tar.xz",)),
}


class OpenIDProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    issuer: where /.well-known/openid-configuration is, without that. The provider must know {public_url}/signin/oidc/NAME/callback.

    client_secret: "" for a public client. groups_claim: the claim that lists groups. domains: whose addresses may sign in, `*` for
    everybody whom the provider knows, which may be the whole world. label: on the button. trust_email: believe addresses that are not
    marked as verified, and let them into accounts that are here already.
    """

    issuer: Annotated[str, Meta(pattern=r"^https?://[^?#@]+$")]
    client_id: Annotated[str, Meta(min_length=1)]
    domains: Annotated[tuple[Annotated[str, Meta(pattern=r"^(\*|[a-z0-9.-]+)$")], ...], Meta(min_length=1)]
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    label: str = ""
    trust_email: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    data: the folder of database and blobs. database: "" for SQLite in that folder, or postgresql://USER:PASSWORD@HOST/NAME;
    database_connections: at most so many in each process. listen: HOST:PORT, port 0 for a free one. processes: serving
    processes, 0 for one for each core. Names under no location are the server's own and belong to the default location.

    accounts: whether requests need them; without, everybody may do everything, and only loopback is served. owner: the address of the first
    account. public_url: how clients reach this server, e.g. https://registry.example.com; "" for what each request says. trusted_proxies:
    addresses or networks whose X-Forwarded-For and -Proto are believed. audit_keep_days, audit_keep_rows: how much the audit log keeps.
    private_hosts: HOST or HOST:PORT of identity providers with addresses inside, which this server would not call otherwise;
    certificate_authorities: a PEM file with further ones that it trusts there.
    project_grace_seconds: how long a deleted project can be had back. openid: providers to sign in with, by the name in their addresses.

    tls_cert, tls_key: PEM files, "" for none; with them listen speaks HTTPS. listen_http: addresses beside listen that never do.

    drain_delay_seconds: after SIGTERM everything is still answered for so long, but /readyz says no; drain_seconds: then what is
    under way may take so long. access_log: a line for each request. otlp_endpoint: where traces go, "" for none.

    scan_processes: processes that read layers, beside the worker. feeds: advisories by name; advisories_update_seconds: how often they are
    fetched, 0 for never, as where there is no network.

    oci_hosts: names of this server under which a manifest is deleted together with its tags, as the OCI specification has it; under all
    others it must have none, as at Container Registry.
    """

    data: Path = Path("data")
    database: str = ""
    database_connections: Annotated[int, Meta(gt=0, le=1000)] = 10
    listen: Annotated[tuple[str, ...], Meta(min_length=1)] = ("127.0.0.1:5000",)
    listen_http: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    processes: Annotated[int, Meta(ge=0, le=1024)] = 0
    locations: dict[LocationName, Location] = msgspec.field(default_factory=LOCATIONS.copy)
    gc_interval_seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = 300.0
    gc_grace_seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 3600.0
    upload_expiry_seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = 86400.0
    max_blob_bytes: Annotated[int, Meta(gt=0)] = 1 << 40
    drain_seconds: Annotated[float, Meta(ge=0, le=MOST_DRAIN_SECONDS)] = 15.0
    drain_delay_seconds: Annotated[float, Meta(ge=0, le=MOST_DRAIN_SECONDS)] = 0.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = False
    otlp_endpoint: str = ""
    accounts: bool = True
    owner: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}$")] = "owner@localhost"
    public_url: Annotated[str, Meta(pattern=r"^$|^https?://[^/?#@]+$")] = ""
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    audit_keep_days: Annotated[int, Meta(gt=0, le=36500)] = 400
    audit_keep_rows: Annotated[int, Meta(gt=0)] = 1_000_000
    private_hosts: tuple[str, ...] = ()
    certificate_authorities: str = ""
    project_grace_seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 30 * 86400.0
    openid: dict[LocationName, OpenIDProvider] = msgspec.field(default_factory=dict)
    oci_hosts: tuple[HeaderName, ...] = ()
    scan_processes: Annotated[int, Meta(gt=0, le=256)] = 1
    advisories_update_seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 6 * 3600.0
    feeds: dict[LocationName, Feed] = msgspec.field(default_factory=FEEDS.copy)

    def addresses(self) -> list[tuple[str, int]]:
        """Raises ConfigurationError."""
        return [address(text) for text in self.listen]

    def plain_addresses(self) -> list[tuple[str, int]]:
        """Raises ConfigurationError."""
        return [address(text) for text in self.listen_http]

    def proxies(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Raises ConfigurationError."""
        try:
            return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)
        except ValueError as error:
            raise ConfigurationError(f"trusted_proxies must be IP addresses or networks: {error}") from error

    def hosts(self) -> dict[str, str]:
        """Host name → location."""
        return {host.lower(): name for name, location in self.locations.items() for host in location.hosts}

    def canonical_hosts(self) -> dict[str, str]:
        """Location → the name that its images have in occurrences and policies."""
        return {name: location.hosts[0].lower() for name, location in self.locations.items()}


def load(file: Path | None, overrides: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """overrides: what the command line says, None for what it does not. Raises ConfigurationError."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environment(os.environ if environment is None else environment))
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["locations"] = _with_defaults(values.get("locations", {}))
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings are wrong: {error}") from error
    if settings.database and not settings.database.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("database must be postgresql://USER:PASSWORD@HOST:PORT/NAME, or nothing for SQLite in the data folder")
    _check_hosts(settings.locations)
    settings.proxies()
    return settings


def user_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the command line keeps what it remembers of this person (XDG Base Directory Specification)."""
    known = os.environ if environment is None else environment
    return Path(known.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "roadstead"


def docker_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where docker's own settings are."""
    known = os.environ if environment is None else environment
    return Path(known.get("DOCKER_CONFIG") or Path.home() / ".docker")


def gcloud_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where gcloud's configurations are."""
    known = os.environ if environment is None else environment
    return Path(known.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")


def only_loopback(addresses: Sequence[tuple[str, int]]) -> None:
    """
    Without accounts everyone who reaches the server may do everything, so it stays on this machine.

    Raises ConfigurationError.
    """
    for host, port in addresses:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ConfigurationError(
                f"{host}:{port} can be reached from other machines, and this server is set to have no accounts: "
                "listen on 127.0.0.1 or [::1], or leave `accounts` on"
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
        values[field.name] = _parsed(field.name, text)
    return values


def _parsed(name: str, text: str) -> Any:
    """ROADSTEAD_LISTEN is a list with commas, ROADSTEAD_LOCATIONS, _OPENID and _FEEDS are JSON of the same form as in the file."""
    if name in ("listen", "listen_http", "trusted_proxies", "private_hosts", "oci_hosts"):
        return tuple(text.split(",")) if text else ()
    if name not in ("locations", "openid", "feeds"):
        return text
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"ROADSTEAD_{name.upper()} is not a JSON object: {error}") from error


def _with_defaults(given: Any) -> dict[str, Any]:
    """What is said of a location comes on top of what it is by itself: a bucket for gcr leaves it its host."""
    if not isinstance(given, dict) or not all(isinstance(location, dict) for location in given.values()):
        raise ConfigurationError("locations must be tables: [locations.NAME] with hosts and storage")
    known: dict[str, Any] = msgspec.to_builtins(LOCATIONS)
    return {**known, **{name: {**known.get(name, {}), **location} for name, location in given.items()}}


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


def address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises ConfigurationError."""
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


def reachable(text: str) -> str:
    """HOST:PORT for a link from this machine: an address that means all of them is none to go to."""
    host, _, port = text.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]", "::") else text  # noqa: S104
