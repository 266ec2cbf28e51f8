"""What was read of a feed, for people and for the decision whether to take it."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_PROBLEMS = 20


@dataclass(slots=True)
class Tally:
    """
    documents is how many files were read and records how many advisories they gave; skipped counts what made no sense.

    withdrawn are the feed's names of records that are no longer true: whoever keeps older editions removes what they said.
    problems are sentences about the first of the skipped ones.
    """

    documents: int = 0
    records: int = 0
    skipped: int = 0
    withdrawn: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def skip(self, where: str, why: str) -> None:
        self.skipped += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{where[:200]}: {why[:300]}")
