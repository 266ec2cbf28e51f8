"""Names of notes and occurrences, and the two projects that have the server's own notes."""

from __future__ import annotations

import re
import uuid

from roadstead.errors import FieldInvalid

VULNERABILITIES = "goog-vulnz"
"""Has a note for each vulnerability that scanners know, named by its id: `CVE-2026-1234`."""

ANALYSIS = "goog-analysis"
"""Has the notes of what the server itself does, such as PACKAGE_VULNERABILITY."""

OF_THE_SERVER = frozenset({VULNERABILITIES, ANALYSIS})
"""Everybody may read their notes, and nobody may write them."""

# A project may have a domain; another character than these would need to be escaped in addresses.
_NOTE_ID = re.compile(r"[A-Za-z0-9_~.%@+-](?:[A-Za-z0-9_~.%@+:-]{0,253}[A-Za-z0-9_~.%@+-])?")
_NOTE = re.compile(r"projects/(?P<project>[^/\0]{1,300})/(?:locations/[^/\0]{1,63}/)?notes/(?P<note>[^/\0]{1,256})")


def check_note_id(text: str) -> str:
    """Raises FieldInvalid."""
    if _NOTE_ID.fullmatch(text) is None or text in (".", ".."):
        raise FieldInvalid(
            "a note's id (noteId) has 1 to 255 letters, digits and characters of `-_.~%@+:`, a colon not last", {"noteId": text[:100]}
        )
    return text


def parse_note(name: str, path: str = "occurrence.noteName") -> tuple[str, str]:
    """`projects/P/notes/N` or `projects/P/locations/L/notes/N` → (P, N). Raises FieldInvalid; path is for that."""
    match = _NOTE.fullmatch(name)
    if match is None:
        raise FieldInvalid(f"'{path}' must be the name of a note: projects/PROJECT/notes/NOTE", {"field": path})
    return match["project"], match["note"]


def note(project: str, note_id: str, location: str = "") -> str:
    """location "" is the form without one."""
    return f"{parent(project, location)}/notes/{note_id}"


def occurrence(project: str, occurrence_id: str, location: str = "") -> str:
    return f"{parent(project, location)}/occurrences/{occurrence_id}"


def parent(project: str, location: str = "") -> str:
    return f"projects/{project}/locations/{location}" if location else f"projects/{project}"


def new_id() -> str:
    return str(uuid.uuid4())
