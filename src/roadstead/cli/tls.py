"""`roadstead tls`: certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from roadstead import config
from roadstead.cli.output import Format, print_json
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.certificates import SelfSigned

app = typer.Typer(no_args_is_help=True, help="Certificates for HTTPS.", rich_markup_mode=None)


@app.callback()
def _tls() -> None:
    """Certificates for HTTPS."""


@app.command("self-signed")
def self_signed(
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    host: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A name or IP address of the server, may be given several times. [default: this machine's, and Google's]"),
    ] = None,
    google: Annotated[
        bool, typer.Option("--google", help="Beside --host also for gcr.io, *.gcr.io, *.googleapis.com and accounts.google.com.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days that the server's certificate is good for.")] = 825,
    out: Annotated[Optional[Path], typer.Option(help="Folder of what is made. [default: tls in the data folder]")] = None,  # noqa: UP045
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """
    Make a private certificate authority and a certificate of the server, for labs.

    Once more, it renews the certificate; the authority stays, and so does the clients' trust in it.
    """
    from roadstead import certificates

    settings = config.load(config_file, {"data": data})
    if google and not host:
        raise ConfigurationError("--google goes with --host: without it the certificate is for Google's names already")
    hosts = [*(host or ()), *(certificates.GOOGLE_NAMES if google else ())]
    made = certificates.self_signed((out or settings.data / "tls").absolute(), hosts, days)
    if output is Format.JSON:
        print_json(_document(made))
    else:
        print(_instructions(made))


def _document(made: SelfSigned) -> dict[str, object]:
    return {
        "ca": str(made.ca),
        "caSha256": made.ca_fingerprint,
        "caIsNew": made.ca_is_new,
        "certificate": str(made.certificate),
        "key": str(made.key),
        "sha256": made.fingerprint,
        "hosts": list(made.hosts),
        "notAfter": made.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _instructions(made: SelfSigned) -> str:
    ca = made.ca
    return f"""\
Certificate {made.certificate} (key {made.key}), good until {made.not_after:%Y-%m-%d}, for
    {", ".join(made.hosts)}
    SHA-256 {made.fingerprint}
{"New authority" if made.ca_is_new else "Authority"} {ca}
    SHA-256 {made.ca_fingerprint}

Serve with it (a server that already does takes the new one by itself):
    roadstead serve --tls-cert {made.certificate} --tls-key {made.key}

Tell the clients of {ca.name} (never of ca.key), HOST being the name and port that stand in image names:
    docker, podman   install -D -m 644 {ca} /etc/docker/certs.d/HOST/ca.crt   (podman: /etc/containers/certs.d)
    skopeo, buildah  --cert-dir DIR, with the authority in it as ca.crt (skopeo copy: --src-cert-dir, --dest-cert-dir)
    crane, oras, Go  SSL_CERT_FILE={ca}
    Python           REQUESTS_CA_BUNDLE={ca} SSL_CERT_FILE={ca}
    gcloud           gcloud config set core/custom_ca_certs_file {ca}
    curl             curl --cacert {ca}"""
