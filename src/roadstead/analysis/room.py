"""The room put together: what an edge or another room is given of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roadstead.analysis.notes import Notes
from roadstead.analysis.occurrences import Occurrences
from roadstead.analysis.scanned import Scanned
from roadstead.analysis.summaries import Summaries
from roadstead.db.database import Database


@dataclass(frozen=True, slots=True)
class Analysis:
    notes: Notes
    occurrences: Occurrences
    summaries: Summaries

    @classmethod
    def of(cls, database: Database, now_us: Callable[[], int]) -> Analysis:
        scanned = Scanned(database, now_us)
        return cls(Notes(database, scanned, now_us), Occurrences(database, scanned, now_us), Summaries(database, scanned))
