"""
Tests of the room's own classes stand on a database of each kind; the others on one installation with accounts.

What feeds hold is the whole installation's, so what the tests of it need is loaded once, and a test that loads more uses a feed and a
release of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.iam.conftest import anyio_backend, clock, database, door, installation, other_node
from tests.kit import scanned
from tests.kit.accounts import Installation

__all__ = ["anyio_backend", "clock", "database", "door", "installation", "other_node"]

CRITICAL_VECTOR = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MEDIUM_VECTOR = "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"


@pytest.fixture(scope="session")
def advised(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The installation, with small feeds of Debian 12, Ubuntu 22.04 and Alpine 3.18."""
    folder = tmp_path_factory.mktemp("feeds")
    tracker = scanned.tracker(
        folder,
        {
            "openssl": {
                "CVE-2026-1001": {"status": "resolved", "fixed_version": "3.0.11-1~deb12u2", "urgency": "high"},
                "CVE-2026-1002": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"},
                "CVE-2026-1003": {"status": "open", "urgency": "unimportant"},
                "CVE-2026-1004": {"status": "resolved", "fixed_version": "3.0.9-1", "urgency": "medium"},
                "CVE-2026-1005": {"status": "undetermined", "urgency": "not yet assigned"},
            },
            "zlib": {
                "CVE-2026-1006": {"status": "open", "urgency": "not yet assigned", "nodsa": "Minor issue", "nodsa_reason": "ignored"},
            },
            "linux": {"CVE-2026-1007": {"status": "open", "urgency": "low"}},
        },
    )
    osv = scanned.osv(
        folder,
        scanned.osv_record("CVE-2026-1006", "Debian:12", "zlib", vector=CRITICAL_VECTOR),
        scanned.osv_record("UBUNTU-CVE-2026-2001", "Ubuntu:22.04:LTS", "openssl", "3.0.2-0ubuntu1.9", CRITICAL_VECTOR, "negligible"),
        scanned.osv_record("UBUNTU-CVE-2026-2002", "Ubuntu:22.04:LTS", "openssl", "", MEDIUM_VECTOR),
        scanned.osv_record("UBUNTU-CVE-2026-2003", "Ubuntu:22.04:LTS", "openssl", "3.0.2-0ubuntu1.1", "", "high"),
        scanned.osv_record("ALPINE-CVE-2026-3001", "Alpine:v3.18", "openssl", "3.1.4-r0", MEDIUM_VECTOR),
    )
    fixes = {"3.1.4-r0": ["CVE-2026-3001"], "3.1.1-r0": ["CVE-2026-3002"], "0": ["CVE-2026-3003"]}
    alpine = scanned.secdb(folder, "3.18", {"openssl": fixes, "musl": {"1.2.5-r0": ["CVE-2026-3004 XSA-1"]}})
    scanned.import_feeds(installation, {"debian-tracker": tracker, "osv": osv, "alpine-secdb": alpine})
    return installation


@pytest.fixture
def owner(advised: Installation) -> Iterator[httpx.Client]:
    with advised.client(advised.owner_token) as client:
        yield client


@pytest.fixture
def watched(advised: Installation) -> str:
    """A new project whose pushes are scanned."""
    return scanned.project(advised)
