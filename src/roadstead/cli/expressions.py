"""
The words that --format, --filter and --sort-by are made of: keys such as `labels.team` and `tags[0]`, quoted text, lists of arguments.

Spec: `gcloud topic projections`, Keys; `gcloud topic filters`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from roadstead.errors import ConfigurationError

MOST_CHARACTERS = 10_000
_RESERVED = ":=!<>~()[].{},+*/%&|^#;?"

Key = tuple["str | int | None", ...]
"""Names, indices of lists, and None for all of a list. Empty for the whole row."""


class Words:
    """What is read from left to right. at: the next character. aliases: other names of keys, such as columns' headings."""

    def __init__(self, text: str, flag: str, aliases: Mapping[str, Key] | None = None) -> None:
        """flag: what the text was given with, for what is said of it. Raises ConfigurationError."""
        self.text = text
        self.at = 0
        self.aliases = aliases or {}
        self._flag = flag
        if len(text) > MOST_CHARACTERS:
            raise ConfigurationError(f"{flag} is longer than {MOST_CHARACTERS} characters")

    def wrong(self, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self._flag}: {expected} expected here: {self.text[: self.at]} *HERE* {self.text[self.at :]}".rstrip())

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    def skip_space(self) -> bool:
        """False at the end."""
        while not self.ended and self.text[self.at].isspace():
            self.at += 1
        return not self.ended

    def peek(self, characters: str) -> bool:
        return not self.ended and self.text[self.at] in characters

    def take(self, characters: str) -> str:
        """The next character, if it is one of these, else an empty string."""
        if not self.peek(characters):
            return ""
        self.at += 1
        return self.text[self.at - 1]

    def must(self, character: str) -> None:
        """Raises ConfigurationError."""
        if not self.take(character):
            raise self.wrong(character)

    def take_word(self, word: str, peek: bool = False) -> bool:
        """A whole word: a space, a parenthesis or the end follows."""
        if not self.skip_space() or not self.text.startswith(word, self.at):
            return False
        after = self.at + len(word)
        if after < len(self.text) and not self.text[after].isspace() and self.text[after] != "(":
            return False
        self.at = self.at if peek else after
        return True

    def token(self, terminators: str, nested: bool = False) -> tuple[str, bool] | None:
        """
        Text up to a space or a terminator, and whether some of it was in quotes; None where there is none.

        nested: parentheses in it belong to it, with all that they enclose. Raises ConfigurationError.
        """
        self.skip_space()
        found: list[str] | None = None
        quote, quoted, depth = "", False, 0
        while not self.ended:
            each = self.text[self.at]
            if each == "\\" and self.at + 1 < len(self.text):
                self.at += 1
                found = (found or []) + [self._escaped(quote)]
            elif each == quote:
                quote = ""
            elif not quote and each in "'\"":
                quote, quoted, found = each, True, found or []
            elif not quote and nested and each in "()":
                if each == ")" and depth == 0 and ")" in terminators:
                    break
                depth += 1 if each == "(" else -1
                found = (found or []) + [each]
            elif not quote and depth == 0 and (each in terminators or each.isspace()):
                break
            else:
                found = (found or []) + [each]
            self.at += 1
        if quote:
            raise self.wrong(f"the other {quote}")
        return None if found is None else ("".join(found), quoted)

    def _escaped(self, quote: str) -> str:
        """A backslash keeps only quotes and itself from being special."""
        each = self.text[self.at]
        return each if each in ("\\", quote) or (not quote and each in "'\"") else f"\\{each}"

    def word(self, terminators: str) -> str:
        """Raises ConfigurationError."""
        found = self.token(terminators)
        return found[0] if found else ""

    def arguments(self, separators: str = ",") -> list[tuple[str, bool]]:
        """Up to the closing parenthesis; the opening one has been taken. Raises ConfigurationError."""
        found = []
        while True:
            given = self.token(separators + ")", nested=True)
            if given is not None:
                found.append(given)
            spaced = self.skip_space()
            if self.take(")"):
                return found
            if not spaced:
                raise self.wrong(")")
            if not self.take(separators) and " " not in separators:
                raise self.wrong(")")

    def key(self) -> Key:
        """Raises ConfigurationError."""
        found: list[str | int | None] = []
        self.skip_space()
        if self.peek(".") and (self.at + 1 == len(self.text) or self.text[self.at + 1] in ":=!<>~(),] \t\n"):
            self.at += 1
            return ()
        while True:
            name = self.token(_RESERVED)
            if name is None and not self.peek("["):
                raise self.wrong("a key")
            if name is not None:
                alias = self.aliases.get(name[0]) if not found and not self.peek("(") else None
                found += alias if alias is not None else (name[0],)
            while self.take("["):
                found.append(self._index())
            if not self.take("."):
                return tuple(found)

    def _index(self) -> str | int | None:
        given = self.token("]")
        self.must("]")
        if given is None or given[0] == "":
            return None
        return int(given[0]) if re.fullmatch(r"-?[0-9]{1,9}", given[0]) and not given[1] else given[0]


def value(row: Any, key: Key) -> Any:
    """
    What a row has at a key, None where it has nothing.

    snake_case finds camelCase and the other way round. Of a list of objects, a name is that of each.
    """
    found = row
    for number, step in enumerate(key):
        rest = key[number + 1 :]
        if isinstance(found, Mapping):
            if step is None:
                return [value(found, (each, *rest)) for each in found] if rest else found
            spelling = next((each for each in spellings(step) if each in found), None)
            if spelling is None:
                return None
            found = found[spelling]
        elif isinstance(found, list):
            if step is None:
                return [value(each, rest) for each in found] if rest else found
            if isinstance(step, str):
                return [value(each, key[number:]) for each in found] if any(isinstance(each, Mapping) for each in found) else None
            if not -len(found) <= step < len(found):
                return None
            found = found[step]
        else:
            return None
    return found


def placed(row: Any, key: Key, item: Any) -> Any:
    """The row with something else at a key, where it has something."""
    if not key:
        return item
    if not isinstance(row, Mapping) or key[0] is None:
        return row
    step = next((each for each in spellings(key[0]) if each in row), None)
    return row if step is None else {**row, step: placed(row[step], key[1:], item)}


def spellings(name: str | int) -> tuple[str | int, ...]:
    """As it is, in camelCase and in snake_case."""
    if isinstance(name, int):
        return (name,)
    first, *others = name.split("_")
    snake = re.sub(r"(?<=[a-z0-9])[A-Z]+(?=[A-Z][a-z]|$)|(?<!^)[A-Z](?=[a-z])", lambda match: f"_{match[0]}", name).lower()
    return name, first + "".join(each.title() for each in others), snake
