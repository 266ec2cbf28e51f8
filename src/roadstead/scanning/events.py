"""
What happened in scanning, in order: images scanned, findings that are new, changed or gone, each with the reason.

A finding's event names the package version: which images have it is a join, over their inventories. Notification channels read these rows.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from roadstead.db.database import Transaction
from roadstead.scanner.match import Finding
from roadstead.scanning import queries

KEPT_US = 90 * 86_400_000_000
BATCH = 1000

Kind = Literal["SCAN_FINISHED", "SCAN_FAILED", "FINDING_NEW", "FINDING_CHANGED", "FINDING_GONE"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    vulnerability, package, version, fixed, severity and feed are of a finding; reason says why it is so now: the feed's name and revision.
    image is the resource of a scan; error why it failed.
    """

    kind: Kind
    vulnerability: str = ""
    package: str = ""
    version: str = ""
    fixed: str = ""
    severity: str = ""
    feed: str = ""
    record: str = ""
    reason: str = ""
    image: str = ""
    error: str = ""

    @classmethod
    def of_finding(cls, kind: Kind, finding: Finding, reason: str) -> Event:
        return cls(
            kind=kind,
            vulnerability=finding.id,
            package=finding.package.source_name,
            version=finding.package.source_version,
            fixed=finding.fixed,
            severity=finding.severity.name,
            feed=finding.feed,
            record=finding.record,
            reason=reason,
        )


async def record(tx: Transaction, event: Event, now_us: int, image_id: int | None = None, version_id: int | None = None) -> None:
    """The event exists if and only if tx commits."""
    content: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(event).items() if name != "kind"}
    await tx.run(
        queries.ADD_EVENT,
        {
            "now_us": now_us,
            "kind": event.kind,
            "image_id": image_id,
            "version_id": version_id,
            "content": msgspec.json.encode(content).decode(),
        },
    )
