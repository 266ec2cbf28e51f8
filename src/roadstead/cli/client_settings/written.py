"""Files of a configuration, below a root: written whole or not at all, and only where they differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roadstead.cli.client_settings.wanted import Piece
from roadstead.cli.logins import replace
from roadstead.cli.output import Failed

_MOST_BYTES = 4 * 1024 * 1024


def place(root: Path, piece: Piece) -> Path:
    """Raises Failed for a link that leads out of root."""
    file = root / piece.path.relative_to("/")
    if not file.resolve().is_relative_to(root.resolve()):
        raise Failed(f"{file} is a link that leads out of {root}")
    return file


def is_there(root: Path, piece: Piece) -> bool:
    """Raises Failed."""
    file = place(root, piece)
    present = _present(file)
    try:
        return present is not None and piece.content.is_in(present)
    except Failed as error:
        raise Failed(f"{file} cannot be used: {error.message}") from error


def write(root: Path, piece: Piece, may_change: Callable[[Path], bool]) -> bool:
    """Whether anything was written. may_change is asked before a file that is there is changed. Raises Failed."""
    if is_there(root, piece):
        return False
    file = place(root, piece)
    present = _present(file)
    try:
        content = piece.content.merged(present or "")
    except Failed as error:
        raise Failed(f"{file} was left as it is: {error.message}") from error
    if present is not None and not may_change(file):
        raise Failed(f"{file} was left as it is: it has other content. --quiet changes it without asking")
    _folder(file.parent)
    # Daemons run as others than whoever sets them up; a person's own files stay a person's own.
    usual = 0o600 if file.name == "config.json" else 0o644
    replace(file, content.encode(), file.stat().st_mode & 0o777 if present is not None else usual)
    return True


def _present(file: Path) -> str | None:
    try:
        if not file.exists():
            return None
        if file.stat().st_size > _MOST_BYTES:
            raise Failed(f"{file} is too large to be a client's settings")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from error


def _folder(folder: Path) -> None:
    """Readable by all, as folders of settings are, but a person's own below a home stay as they are. Raises Failed."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        for each in reversed(missing):
            each.mkdir()
            each.chmod(0o700 if each.name in (".docker", ".config") else 0o755)
    except OSError as error:
        raise Failed(f"{folder} cannot be made: {error.strerror}") from error
