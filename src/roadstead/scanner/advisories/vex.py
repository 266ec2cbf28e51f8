"""VEX documents, which state what does and does not apply: OpenVEX (openvex.dev, v0.2.0 and v0.0) and CSAF's profile for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product as pairs
from typing import Any

import msgspec

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import csaf, fields
from roadstead.scanner.advisories.advisory import Form
from roadstead.scanner.advisories.feeds import form_of
from roadstead.scanner.advisories.statement import MAX_STATEMENTS, Statement, Status
from roadstead.scanner.advisories.subject import Subject, subject
from roadstead.scanner.advisories.tally import Tally


class _Component(msgspec.Struct):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] | None = None
    hashes: dict[str, str] | None = None


class _Product(_Component):
    subcomponents: list[_Component | str] | None = None


class _Vulnerability(msgspec.Struct):
    name: str = ""
    id: str = msgspec.field(name="@id", default="")
    aliases: list[str] | None = None


class _Statement(msgspec.Struct):
    vulnerability: _Vulnerability | str
    status: str
    products: list[_Product | str] = []
    subcomponents: list[_Component | str] | None = None
    justification: str | None = None
    impact_statement: str | None = None
    action_statement: str | None = None
    timestamp: Any = None


class _Document(msgspec.Struct):
    statements: list[msgspec.Raw]
    id: str = msgspec.field(name="@id", default="")
    author: str | None = None
    timestamp: Any = None


_documents = msgspec.json.Decoder(_Document)
_statements = msgspec.json.Decoder(_Statement)


def read(document: bytes, tally: Tally) -> list[Statement]:
    """
    All statements of a document, the earlier ones first. Those that make no sense are skipped and counted.

    Raises FeedInvalid for what is neither OpenVEX nor CSAF of the category csaf_vex, says nothing that makes sense, or says too much.
    """
    form = form_of(document)
    if form is Form.OPENVEX:
        found = _openvex(document, tally)
    elif form is Form.CSAF:
        found = csaf.read(document, tally)
    else:
        raise FeedInvalid("not a VEX document: it must be OpenVEX, or CSAF of the category csaf_vex")
    statements: list[Statement] = []
    for statement in found:
        statements.append(statement)
        if len(statements) > MAX_STATEMENTS:
            raise FeedInvalid(f"the document has more than {MAX_STATEMENTS} statements: split it")
    if not statements and tally.skipped:
        raise FeedInvalid(f"nothing in the document makes sense: {'; '.join(tally.problems[:3])}")
    tally.documents += 1
    tally.records += len(statements)
    return sorted(statements, key=lambda statement: statement.stated_at)


def _openvex(document: bytes, tally: Tally) -> Iterator[Statement]:
    try:
        whole = _documents.decode(document)
    except fields.BROKEN as error:
        raise FeedInvalid(f"not an OpenVEX document: {error}") from None
    for raw in whole.statements:
        try:
            statement = _statements.decode(raw)
        except fields.BROKEN as error:
            tally.skip("a statement", f"{error}")
            continue
        try:
            status = Status(statement.status)
        except ValueError:
            tally.skip("a statement", f"{statement.status[:40]!r} is no status")
            continue
        yield from _statement(whole, statement, status, tally)


def _statement(whole: _Document, statement: _Statement, status: Status, tally: Tally) -> Iterator[Statement]:
    said = statement.vulnerability if isinstance(statement.vulnerability, _Vulnerability) else _Vulnerability(statement.vulnerability)
    name = said.name or said.id.rpartition("/")[2]
    if not fields.is_identifier(name):
        tally.skip("a statement", f"{name[:100]!r} is not the name of a vulnerability")
        return
    # The specification asks for a reason: without one, nobody can tell whether it still holds.
    if status is Status.NOT_AFFECTED and not (statement.justification or statement.impact_statement):
        tally.skip(name, "not_affected needs a justification or an impact_statement")
        return
    stated = False
    for entry in statement.products:
        own = entry.subcomponents if isinstance(entry, _Product) else None
        parts: Sequence[_Component | str | None] = own or statement.subcomponents or [None]
        for product, component in pairs(_subjects(entry), (found for part in parts for found in _subjects(part))):
            if product is None:
                continue
            stated = True
            yield Statement(
                document=fields.line(whole.id, 300),
                author=fields.line(whole.author, 200),
                vulnerability=name,
                aliases=fields.aliases(said.aliases or (), name),
                status=status,
                product=product,
                component=component,
                justification=fields.line(statement.justification, 60),
                note=fields.line(statement.impact_statement or statement.action_statement, fields.MAX_NOTE_LENGTH),
                stated_at=fields.time(statement.timestamp) or fields.time(whole.timestamp),
            )
    if not stated:
        tally.skip(name, "it names no product")


def _subjects(component: _Component | str | None) -> list[Subject | None]:
    """The same thing under each of its names that we understand; [None] for nothing."""
    if component is None:
        return [None]
    if isinstance(component, str):
        return [subject(component)]
    purl = (component.identifiers or {}).get("purl", "")
    names = [name for name in dict.fromkeys((component.id, purl)) if name]
    found = [subject(name, component.hashes) for name in names] or ([subject("", component.hashes)] if component.hashes else [])
    return [*([known for known in found if known.kind] or found[:1])] or [None]
