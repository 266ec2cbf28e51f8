"""
What `filter` of projects.list and `query` of projects.search say, as a test of one project.

`lifecycleState:ACTIVE AND (id=a OR labels.env:*)`: terms are FIELD:VALUE, FIELD=VALUE or FIELD!=VALUE, or a bare word for the id or name;
blanks mean AND, `NOT` and `-` turn a term round. Case does not count, and `*` stands for any characters.
Spec: Resource Manager API v1, projects.list; v3, projects.search.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from roadstead.errors import FieldInvalid
from roadstead.iam import resources
from roadstead.iam.projects import Project

Test = Callable[[Project], bool]

MAX_LENGTH = 4096
MAX_TERMS = 200
_MAX_DEPTH = 20

_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()])|(?P<minus>-(?=\S))|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<op>!=|[:=])|(?P<word>[^\s()":=!]+))""")

_FIELDS: dict[str, Callable[[Project], str]] = {
    "id": lambda project: project.id,
    "projectid": lambda project: project.id,
    "projectnumber": lambda project: str(project.number),
    "name": lambda project: project.name,
    "displayname": lambda project: project.name,
    "lifecyclestate": lambda project: project.state,
    "state": lambda project: project.state,
    "parent.type": lambda _: "organization",
    "parent.id": lambda _: resources.ORGANIZATION_ID,
    "parent": lambda _: f"organizations/{resources.ORGANIZATION_ID}",
}


def parse(text: str) -> Test:
    """An empty text is true of every project. Raises FieldInvalid."""
    if len(text) > MAX_LENGTH:
        raise FieldInvalid(f"a filter has at most {MAX_LENGTH} characters")
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    parser = _Parser(tokens)
    test = parser.either(0)
    if parser.peek() != ("", ""):
        raise _wrong(parser.peek()[1])
    return test


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> tuple[str, str]:
        """Kind and text of what comes next; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def either(self, depth: int) -> Test:
        found = [self._all(depth)]
        while self._takes("word", "OR"):
            found.append(self._all(depth))
        return lambda project: any(test(project) for test in found)

    def _all(self, depth: int) -> Test:
        found = [self._term(depth)]
        while self._takes("word", "AND") or self.peek() not in (("", ""), ("mark", ")"), ("word", "OR")):
            found.append(self._term(depth))
        return lambda project: all(test(project) for test in found)

    def _term(self, depth: int) -> Test:
        if depth > _MAX_DEPTH:
            raise FieldInvalid("the filter is nested too deeply")
        if self._takes("word", "NOT") or self._takes("minus", "-"):
            inner = self._term(depth + 1)
            return lambda project: not inner(project)
        if self._takes("mark", "("):
            inner = self.either(depth + 1)
            if not self._takes("mark", ")"):
                raise _wrong(self.peek()[1])
            return inner
        field = self._value()
        kind, operator = self.peek()
        if kind != "op":
            return lambda project: _matches(f"*{field}*", project.id) or _matches(f"*{field}*", project.name)
        self._at += 1
        return _compare(field, operator, self._value())

    def _value(self) -> str:
        kind, text = self.peek()
        if kind not in ("word", "quoted") or (kind == "word" and text in ("AND", "OR", "NOT")):
            raise _wrong(text)
        self._at += 1
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "quoted" else text

    def _takes(self, kind: str, text: str) -> bool:
        if self.peek() != (kind, text):
            return False
        self._at += 1
        return True


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None or len(found) > MAX_TERMS * 4:
            raise _wrong(text[at : at + 50])
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _compare(field: str, operator: str, value: str) -> Test:
    name = field.lower()
    if name.startswith("labels."):
        key = field[len("labels.") :]
        test: Test = lambda project: key in project.labels and _matches(value, project.labels[key])  # noqa: E731
    elif name in _FIELDS:
        read = _FIELDS[name]
        test = lambda project: _matches(value, read(project))  # noqa: E731
    else:
        raise FieldInvalid(
            "a filter can ask for id, name, lifecycleState, projectNumber, parent.type, parent.id and labels.KEY", {"field": field[:100]}
        )
    return test if operator != "!=" else lambda project: not test(project)


def _matches(pattern: str, text: str) -> bool:
    """One pass, whatever the pattern: what is between the stars has to come in this order."""
    first, *others = pattern.lower().split("*")
    text = text.lower()
    if not others:
        return text == first
    *middle, last = others
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _wrong(text: str) -> FieldInvalid:
    return FieldInvalid("the filter is not FIELD:VALUE, with AND, OR, NOT and parentheses between", {"near": text[:50]})
