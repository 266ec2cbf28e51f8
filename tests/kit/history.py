"""
Was a register linearizable? A history of what clients asked and heard is, when there is one order of all operations that keeps
to the times (what ended before another began comes before it) and in which every answer is right.

The search is exponential at worst, so histories are small. What happened to a request without an answer is left open: it may have
taken effect at any time after it began, or never.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """
    kind: read (found is what it said), write, create (only where nothing is) or swap (only where expected is). value: what is
    written. done: whether it was; None when no answer came.
    """

    kind: str
    begun: float
    over: float
    value: str | None = None
    expected: str | None = None
    found: str | None = None
    done: bool | None = True


def linearizable(history: Sequence[Operation], first: str | None = None) -> bool:
    """first: what the register has before."""
    operations = sorted(history, key=lambda operation: operation.begun)
    must = sum(1 << number for number, operation in enumerate(operations) if operation.done is not None)
    seen: set[tuple[int, str | None]] = set()
    open_states: list[tuple[int, str | None]] = [(0, first)]
    while open_states:
        state = open_states.pop()
        taken, value = state
        if taken & must == must:
            return True
        if state in seen:
            continue
        seen.add(state)
        left = [number for number in range(len(operations)) if not taken >> number & 1]
        soonest_end = min(
            (operations[number].over if operations[number].done is not None else math.inf for number in left), default=math.inf
        )
        for number in left:
            operation = operations[number]
            if operation.begun > soonest_end:
                break
            for after in _effects(operation, value):
                open_states.append((taken | 1 << number, after))
    return False


def _effects(operation: Operation, value: str | None) -> list[str | None]:
    """The register's values after the operation, as far as its answer allows them."""
    if operation.kind == "read":
        return [value] if operation.done is None or operation.found == value else []
    possible = {"write": True, "create": value is None, "swap": value == operation.expected}[operation.kind]
    if operation.done is None:
        return [operation.value, value] if possible else [value]
    if operation.done != possible:
        return []
    return [operation.value] if possible else [value]
