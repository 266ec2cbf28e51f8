"""Which of some paths lie under another, found without looking at all of them: a layer may delete as many as it writes."""

from __future__ import annotations


class Paths:
    """A set of paths by their folders. Adding and taking cost what is added and taken, whatever else is there."""

    def __init__(self) -> None:
        self._children: dict[str, set[str]] = {}

    def add(self, path: str) -> None:
        while path:
            folder = path.rpartition("/")[0]
            children = self._children.setdefault(folder, set())
            if path in children:
                return
            children.add(path)
            path = folder

    def has_under(self, path: str) -> bool:
        """If something was added under the path. What was dropped one by one since may have been all of it."""
        return path in self._children

    def take_under(self, path: str) -> list[str]:
        """All paths under this one and the folders between, which are forgotten."""
        taken: list[str] = []
        waiting = [path]
        while waiting:
            below = self._children.pop(waiting.pop(), ())
            taken += below
            waiting += below
        return taken
