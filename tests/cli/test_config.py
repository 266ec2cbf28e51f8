"""Settings: defaults, then a file, then ROADSTEAD_* variables, then the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.config import DEFAULT_LOCATION, Settings, load, only_loopback
from roadstead.errors import ConfigurationError

NOTHING: Mapping[str, str] = {}


def written(folder: Path, text: str) -> Path:
    file = folder / "roadstead.toml"
    file.write_text(text)
    return file


def test_the_defaults_serve_this_machine_only() -> None:
    settings = load(None, {}, NOTHING)

    assert [("127.0.0.1", 5000)] == settings.addresses()
    assert Path("data") == settings.data
    only_loopback(settings.addresses())


def test_gcr_s_names_are_locations() -> None:
    hosts = load(None, {}, NOTHING).hosts()

    assert {"gcr.io": "gcr", "us.gcr.io": "us", "eu.gcr.io": "eu", "asia.gcr.io": "asia", "mirror.gcr.io": "mirror"} == hosts
    assert DEFAULT_LOCATION == hosts["gcr.io"]


def test_the_nearer_to_the_command_line_the_stronger(tmp_path: Path) -> None:
    file = written(tmp_path, 'processes = 1\nlog_level = "debug"\ngc_grace_seconds = 10\n')
    environment = {"ROADSTEAD_PROCESSES": "2", "ROADSTEAD_LOG_LEVEL": "error"}

    settings = load(file, {"processes": 3, "data": None}, environment)

    assert (3, "error", 10.0, 300.0) == (
        settings.processes,
        settings.log_level,
        settings.gc_grace_seconds,
        settings.gc_interval_seconds,
    )


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_can_be_in_the_file(tmp_path: Path, name: str) -> None:
    examples = {
        "data": '"/srv/registry"',
        "database": '"postgresql://roadstead@db.example.com/roadstead"',
        "listen": '["127.0.0.1:1", "[::1]:2"]',
        "listen_http": '["127.0.0.1:3"]',
        "tls_cert": '"/etc/roadstead/tls.pem"',
        "tls_key": '"/etc/roadstead/tls.key"',
        "accounts": "false",
        "owner": '"captain@example.com"',
        "public_url": '"https://registry.example.com"',
        "trusted_proxies": '["10.0.0.0/8"]',
        "private_hosts": '["id.example.com"]',
        "certificate_authorities": '"/etc/roadstead/authorities.pem"',
        "log_level": '"debug"',
        "access_log": "true",
        "otlp_endpoint": '"http://127.0.0.1:4318"',
        "locations": '{ eu = { hosts = ["eu.example.com"] } }',
        "oci_hosts": '["registry.example.com"]',
        "feeds": '{ mirror = { urls = ["https://mirror.example.com/tracker.json"] } }',
        "openid": '{ corp = { issuer = "https://id.example.com", client_id = "roadstead", domains = ["example.com"] } }',
    }
    file = written(tmp_path, f"{name} = {examples.get(name, '7')}\n")

    assert getattr(Settings(), name) != getattr(load(file, {}, NOTHING), name)


def test_variables_are_read_as_what_they_stand_for() -> None:
    environment = {
        "ROADSTEAD_DATA": "/srv/registry",
        "ROADSTEAD_LISTEN": "127.0.0.1:1,[::1]:2",
        "ROADSTEAD_LISTEN_HTTP": "127.0.0.1:3,127.0.0.1:4",
        "ROADSTEAD_TLS_CERT": "/etc/roadstead/tls.pem",
        "ROADSTEAD_GC_GRACE_SECONDS": "0.5",
        "ROADSTEAD_MAX_BLOB_BYTES": "1000",
        "UNRELATED": "x",
    }

    settings = load(None, {}, environment)

    assert Path("/srv/registry") == settings.data
    assert [("127.0.0.1", 1), ("::1", 2)] == settings.addresses()
    assert [("127.0.0.1", 3), ("127.0.0.1", 4)] == settings.plain_addresses()
    assert "/etc/roadstead/tls.pem" == settings.tls_cert
    assert (0.5, 1000) == (settings.gc_grace_seconds, settings.max_blob_bytes)


def test_a_bucket_for_a_location_leaves_it_its_hosts(tmp_path: Path) -> None:
    """In a file as in the variable, which is JSON of the same form."""
    file = written(tmp_path, '[locations.eu]\nstorage = "s3://bucket/eu"\nredirect = false\n[locations.eu.options]\nregion = "eu-west-1"\n')
    variable = {"ROADSTEAD_LOCATIONS": '{"eu": {"storage": "s3://bucket/eu", "redirect": false, "options": {"region": "eu-west-1"}}}'}

    for settings in (load(file, {}, NOTHING), load(None, {}, variable)):
        location = settings.locations["eu"]
        assert (("eu.gcr.io",), "s3://bucket/eu", {"region": "eu-west-1"}) == (location.hosts, location.storage, location.options)
        assert not location.redirect
        assert "" == settings.locations["us"].storage


def test_a_location_is_added_to_those_of_gcr_and_one_can_be_renamed(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[locations.apac]\nhosts = ["Registry.Example.COM"]\n[locations.eu]\nhosts = ["eu.example.com", "eu.gcr.io"]\n'
    )

    hosts = load(file, {}, NOTHING).hosts()

    assert ("apac", "eu", "eu", "us") == (hosts["registry.example.com"], hosts["eu.example.com"], hosts["eu.gcr.io"], hosts["us.gcr.io"])


WRONG_FILES = {
    "not TOML": "processes 2",
    "an unknown setting": "colour = 1",
    "a text for a number": 'processes = "many"',
    "a data folder that is a number": "data = 7",
    "a data folder without a name": 'data = ""',
    "a negative number of processes": "processes = -1",
    "far too many processes": "processes = 100000",
    "a negative interval": "gc_interval_seconds = -1",
    "no interval": "gc_interval_seconds = 0",
    "a negative grace": "gc_grace_seconds = -1",
    "an interval that is no number": "gc_interval_seconds = nan",
    "a grace without end": "gc_grace_seconds = inf",
    "an expiry in the past": "upload_expiry_seconds = -1",
    "no room for a blob": "max_blob_bytes = 0",
    "an unknown log level": 'log_level = "loud"',
    "nowhere to listen": "listen = []",
    "a number to listen at": "listen = 5000",
    "locations that are a text": 'locations = "eu"',
    "a location that is a text": 'locations.eu = "eu.example.com"',
    "a location without hosts": "locations.eu = { hosts = [] }",
    "a location with an unknown field": 'locations.eu = { hosts = ["e"], colour = "red" }',
    "a storage that is no address": 'locations.eu = { storage = "bucket" }',
    "a storage of an unknown kind": 'locations.eu = { storage = "ftp://bucket" }',
    "a database that is no address": 'database = "localhost"',
    "a database of an unknown kind": 'database = "mysql://localhost/roadstead"',
    "no connections": "database_connections = 0",
    "a location that is a path": '[locations."../../etc"]\nhosts = ["e"]',
    "a location with a slash": '[locations."a/b"]\nhosts = ["e"]',
    "a host with a port": 'locations.eu = { hosts = ["eu.example.com:443"] }',
    "a host that is none": 'locations.eu = { hosts = ["a/b"] }',
    "a host of two locations": 'locations.eu = { hosts = ["US.gcr.io"] }',
}


@pytest.mark.parametrize("text", WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_wrong_settings_are_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(written(tmp_path, text), {}, NOTHING)
    assert len(refused.value.message.split()) >= 5


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "absent.toml", tmp_path, binary):
        with pytest.raises(ConfigurationError, match=str(file)):
            load(file, {}, NOTHING)


@pytest.mark.parametrize(
    "environment",
    [
        {"ROADSTEAD_PROCESSES": "two"},
        {"ROADSTEAD_PROCESSES": ""},
        {"ROADSTEAD_GC_GRACE_SECONDS": "1h"},
        {"ROADSTEAD_LOCATIONS": "eu"},
        {"ROADSTEAD_LOG_LEVEL": "loud"},
        {"ROADSTEAD_MAX_BLOB_BYTES": "1e400"},
    ],
)
def test_wrong_variables_are_refused_with_a_sentence(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        load(None, {}, environment)


ADDRESSES: dict[str, tuple[str, int]] = {
    "127.0.0.1:5000": ("127.0.0.1", 5000),
    "127.0.0.1:0": ("127.0.0.1", 0),
    "localhost:80": ("localhost", 80),
    "[::1]:5000": ("::1", 5000),
    "0.0.0.0:65535": ("0.0.0.0", 65535),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_host_and_port(text: str) -> None:
    assert [ADDRESSES[text]] == Settings(listen=(text,)).addresses()


WRONG_ADDRESSES = [
    *("", ":", "5000", ":5000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:\xb2"),
    *("127.0.0.1:\u0661", "127.0.0.1:" + "9" * 5000, "1.2.3:5", "example.com:5000", "unix:/run/x", "http://127.0.0.1:5000"),
]


@pytest.mark.parametrize("text", WRONG_ADDRESSES)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="listen"):
        Settings(listen=(text,)).addresses()


@given(st.text(max_size=30) | st.text(alphabet="0123456789.:[]", max_size=20))
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    try:
        ((host, port),) = Settings(listen=(text,)).addresses()
    except ConfigurationError:
        return
    assert host
    assert 0 <= port <= 65535


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_served_without_accounts(host: str) -> None:
    only_loopback([(host, 5000)])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "10.0.0.1", "8.8.8.8", "fe80::1", "::ffff:10.0.0.1"])
def test_other_machines_are_not(host: str) -> None:
    """Without accounts everyone who reaches the server may do everything."""
    with pytest.raises(ConfigurationError, match="no accounts"):
        only_loopback([("127.0.0.1", 5000), (host, 5000)])


@given(st.dictionaries(st.sampled_from(Settings.__struct_fields__), st.none() | st.integers() | st.floats() | st.text(max_size=5)))
def test_any_values_are_settings_or_a_configuration_error(overrides: dict[str, Any]) -> None:
    try:
        settings = load(None, overrides, NOTHING)
    except ConfigurationError:
        return
    assert settings.gc_interval_seconds > 0
    assert DEFAULT_LOCATION in settings.locations
