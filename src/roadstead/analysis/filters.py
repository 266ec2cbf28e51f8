"""
The filters of lists (AIP-160, as far as Container Analysis has it): text becomes a tree of conditions.

    filter     = [ sequence { "AND" sequence } ]
    sequence   = factor { factor }                          a blank means AND, too
    factor     = term { "OR" term }                         OR binds closer than AND
    term       = [ "NOT" | "-" ] ( "(" filter ")" | call | comparison )
    call       = ( "has_prefix" | "has_suffix" ) "(" field "," value ")"
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value

https://google.aip.dev/160
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from roadstead.analysis import names, resources
from roadstead.analysis.fields import TIME
from roadstead.analysis.kinds import Kind
from roadstead.errors import FieldInvalid
from roadstead.scanner.severity import Severity

MOST_CHARACTERS = 8192
MOST_CONDITIONS = 100
MOST_DEPTH = 20

EQUALS, BEGINS, ENDS = "=", "begins", "ends"
_ORDERED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_SAME = frozenset({"=", "!="})


@dataclass(frozen=True, slots=True)
class Condition:
    """column: kind, resource, note_project, note, severity, fixable, created or updated. operator: `=`, `<` …, BEGINS or ENDS."""

    column: str
    operator: str
    value: str | int


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Tree


Tree = Condition | And | Or | Not
EVERYTHING = And(())


def _kind(text: str) -> int:
    try:
        return Kind[text].value
    except KeyError as error:
        raise FieldInvalid(f"there is no kind {text[:100]!r}: {', '.join(Kind.__members__)}") from error


def _severity(text: str) -> int:
    try:
        return Severity[text].value
    except KeyError as error:
        raise FieldInvalid(f"there is no severity {text[:100]!r}: {', '.join(Severity.__members__)}") from error


def _flag(text: str) -> int:
    if text not in ("true", "false"):
        raise FieldInvalid("it is true or false")
    return int(text == "true")


def _time(text: str) -> int:
    """Microseconds."""
    found = datetime.fromisoformat(TIME.read(text, "a time").rstrip("Z").partition(".")[0]).replace(tzinfo=UTC)
    fraction = TIME.read(text, "a time").rstrip("Z").partition(".")[2].ljust(6, "0")[:6]
    return int(found.timestamp()) * 1_000_000 + int(fraction)


@dataclass(frozen=True, slots=True)
class _Field:
    column: str
    value: Callable[[str], str | int] = str
    operators: frozenset[str] = _SAME


_KIND = _Field("kind", _kind)
_RESOURCE = _Field("resource", resources.without_scheme)
_SEVERITY = _Field("severity", _severity, _ORDERED)
_FIXABLE = _Field("fixable", _flag)
_FIELDS: Mapping[str, _Field] = {
    "kind": _KIND,
    "resource_url": _RESOURCE,
    "resource_uri": _RESOURCE,
    "resource.uri": _RESOURCE,
    "note_project_id": _Field("note_project"),
    "note_id": _Field("note"),
    "note_name": _Field("note_name"),
    "severity": _SEVERITY,
    "effective_severity": _SEVERITY,
    "vulnerability.severity": _SEVERITY,
    "vulnerability.effective_severity": _SEVERITY,
    "fix_available": _FIXABLE,
    "vulnerability.fix_available": _FIXABLE,
    "create_time": _Field("created", _time, _ORDERED),
    "update_time": _Field("updated", _time, _ORDERED),
}
_CALLS = {"has_prefix": BEGINS, "has_suffix": ENDS}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<operator><=|>=|!=|[=<>:])
    | (?P<mark>[(),])
    | (?P<minus>-)(?=[\s(A-Za-z])
    | (?P<word>[^\s"'()<>=!,]+)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    """kind: text, operator, mark, minus, word or end. at counts characters from 0."""

    kind: str
    text: str
    at: int


def parse(text: str) -> Tree:
    """Raises FieldInvalid, which says at which character."""
    if len(text) > MOST_CHARACTERS:
        raise FieldInvalid(f"a filter may have {MOST_CHARACTERS} characters")
    if "\0" in text:
        raise FieldInvalid("a filter has no NUL")
    return _Parser(list(_tokens(text))).whole()


def _tokens(text: str) -> Iterator[_Token]:
    at, value_next = 0, False
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].strip()
            at += len(text[at:]) - len(text[at:].lstrip())
            if rest:
                raise _invalid(f"{rest[:20]!r} cannot stand here; a text has quotes at both ends", at)
            yield _Token("end", "", len(text))
            return
        kind = str(match.lastgroup)
        start, found = match.start(kind), match[kind]
        if kind == "word" and not value_next and ":" in found:
            # `kind:BUILD`; a time or an address after an operator keeps its colons.
            found = found.partition(":")[0]
        if kind == "operator" and found == ":" and value_next:
            raise _invalid("a value is missing before ':'", start)
        at = start + len(found)
        value_next = kind == "operator"
        yield _Token(kind, found, start)


def _invalid(message: str, at: int) -> FieldInvalid:
    return FieldInvalid(f"Invalid filter at character {at + 1}: {message}", {"field": "filter", "position": at + 1})


class _Parser:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._conditions = 0

    def whole(self) -> Tree:
        if self._peek.kind == "end":
            return EVERYTHING
        found = self._filter()
        if self._peek.kind != "end":
            raise _invalid(f"{self._peek.text!r} cannot stand here", self._peek.at)
        return found

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        if token.kind != "end":
            self._next += 1
        return token

    def _is(self, kind: str, text: str) -> bool:
        return (self._peek.kind, self._peek.text) == (kind, text)

    def _filter(self) -> Tree:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _invalid(f"parentheses are nested more than {MOST_DEPTH} deep", self._peek.at)
        parts = [self._factor()]
        while self._peek.kind != "end" and not self._is("mark", ")"):
            if self._is("word", "AND"):
                self._take()
            parts.append(self._factor())
        self._depth -= 1
        return _joined(And, parts)

    def _factor(self) -> Tree:
        parts = [self._term()]
        while self._is("word", "OR"):
            self._take()
            parts.append(self._term())
        return _joined(Or, parts)

    def _term(self) -> Tree:
        if self._peek.kind == "minus" or self._is("word", "NOT"):
            self._take()
            return Not(self._simple())
        return self._simple()

    def _simple(self) -> Tree:
        token = self._take()
        if (token.kind, token.text) == ("mark", "("):
            found = self._filter()
            self._expect(")")
            return found
        if token.kind != "word" or token.text in ("AND", "OR", "NOT"):
            raise _invalid('a condition is missing: FIELD = "VALUE"', token.at)
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise _invalid(f"there are more than {MOST_CONDITIONS} conditions", token.at)
        return self._call(token) if self._is("mark", "(") else self._comparison(token)

    def _expect(self, mark: str) -> None:
        token = self._take()
        if (token.kind, token.text) != ("mark", mark):
            raise _invalid(f"{mark!r} is missing", token.at)

    def _call(self, name: _Token) -> Tree:
        if name.text not in _CALLS:
            raise _invalid(f"there is no function {name.text[:100]!r}: has_prefix and has_suffix", name.at)
        self._expect("(")
        field = self._take()
        if _field(field) is not _RESOURCE:
            raise _invalid(f"{name.text} is for resourceUrl only", field.at)
        self._expect(",")
        value = self._value()
        self._expect(")")
        if name.text == "has_prefix" and resources.SCHEME.startswith(value):
            return EVERYTHING
        return Condition(_RESOURCE.column, _CALLS[name.text], resources.without_scheme(value))

    def _comparison(self, name: _Token) -> Tree:
        field, operator = _field(name), self._take()
        if operator.kind != "operator":
            raise _invalid(f"an operator is missing after {name.text[:100]!r}: =, !=, <, <=, > or >=", operator.at)
        symbol = EQUALS if operator.text == ":" else operator.text
        if symbol not in field.operators:
            raise _invalid(f"{name.text[:100]} can be compared by = and != only", operator.at)
        at = self._peek.at
        text = self._value()
        try:
            if field.column == "note_name":
                return _of_note(text, symbol)
            return Condition(field.column, symbol, field.value(text))
        except FieldInvalid as error:
            raise _invalid(error.message, at) from error

    def _value(self) -> str:
        token = self._take()
        if token.kind == "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        if token.kind != "word" or token.text in ("AND", "OR", "NOT"):
            raise _invalid("a value is missing", token.at)
        return token.text


def _field(token: _Token) -> _Field:
    name = re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), token.text)
    found = _FIELDS.get(name) if token.kind == "word" else None
    if found is None:
        raise _invalid(
            f"there is no field {token.text[:100]!r}: kind, resourceUrl, noteProjectId, noteId, noteName, severity, fixAvailable, "
            "createTime and updateTime",
            token.at,
        )
    return found


def _of_note(text: str, symbol: str) -> Tree:
    project, note = names.parse_note(text, "noteName")
    both = And((Condition("note_project", EQUALS, project), Condition("note", EQUALS, note)))
    return both if symbol == EQUALS else Not(both)


def _joined(kind: type[And] | type[Or], parts: Sequence[Tree]) -> Tree:
    """Flat, so that what must hold anyway stands at the top."""
    if len(parts) == 1:
        return parts[0]
    flat: list[Tree] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    return kind(tuple(flat))
