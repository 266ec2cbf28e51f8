"""What the shell completes: names of projects, asked of the server. It is quick or silent."""

from __future__ import annotations

import threading

SECONDS = 1.5
"""Nobody waits longer for a name."""


def project_names(incomplete: str) -> list[str]:
    """Of the projects that whoever is logged in may see, those that begin so."""
    found: list[str] = []
    # Aside, because to look up a server's address may take as long as it likes.
    asking = threading.Thread(target=_ask, args=(incomplete, found), daemon=True)
    asking.start()
    asking.join(SECONDS)
    return sorted(found)


def _ask(incomplete: str, found: list[str]) -> None:
    from roadstead.cli.options import made_of
    from roadstead.cli.output import Failed
    from roadstead.errors import RoadsteadError

    # The shell must not be told in the middle of a line what goes wrong.
    try:
        with made_of({}).connect(SECONDS) as api:
            projects = api.every("/v1/projects", "projects", {"filter": "lifecycleState:ACTIVE"})
    except (Failed, RoadsteadError):
        return
    found += [each["projectId"] for each in projects if each["projectId"].startswith(incomplete)]
