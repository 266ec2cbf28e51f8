"""Google's names that lead to the server are one list, wherever it stands."""

from __future__ import annotations

from pathlib import Path

from roadstead.cli.client_settings import gcloud
from roadstead.proxy.names import APIS, NAMES

CLIENTS = Path(__file__).parents[2] / "docs/clients.md"


def test_the_document_lists_the_names_that_the_proxy_leads_here() -> None:
    """Whoever writes them into a DNS server or /etc/hosts gets what the proxy would give."""
    lines = [line.split()[1:] for line in CLIENTS.read_text(encoding="utf-8").splitlines() if line.startswith("ADDRESS ")]

    assert sorted(NAMES) == sorted(name for line in lines for name in line)


def test_what_gcloud_is_told_of_is_among_them() -> None:
    assert {f"{api}.googleapis.com" for api in gcloud.APIS} <= set(APIS)
    assert "cloudasset" in gcloud.APIS
