"""
Expressions over what another provider's token says: the part of CEL that attribute mappings and conditions of workload identity use.

Names are `assertion` (the token's claims), and in conditions `google` and `attribute` (what the mapping made of them). Unlike in
conditions.py nothing is known of types before: claims are JSON. What cannot be evaluated, such as a claim that is not there, is an error,
never false and never empty, so that a condition with `!` does not let through what it could not look at. There are no loops but
`exists` and `all` over lists, no regular expressions, and the number of steps is limited.

Spec: Workload identity federation, Attribute mappings and conditions (https://cloud.google.com/iam/docs/workload-identity-federation);
CEL, Language definition (https://github.com/google/cel-spec/blob/master/doc/langdef.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from roadstead.errors import ConditionInvalid
from roadstead.iam.cel import TEMPLATE, Reader, either, extracted

MAX_BYTES = 4096
MAX_DEPTH = 20
MAX_OPERATIONS = 200
MAX_STEPS = 5000
MAX_RESULT_CHARACTERS = 65_536


class Unsaid(Exception):
    """This expression has no value for this token; the message says why."""


@dataclass(slots=True)
class _Scope:
    names: Mapping[str, object]
    steps: list[int]

    def step(self) -> None:
        self.steps[0] += 1
        if self.steps[0] > MAX_STEPS:
            raise Unsaid("the expression takes too many steps")


_Evaluate = Callable[[_Scope], object]


@dataclass(frozen=True, slots=True)
class _Node:
    """literal: the text of a string that stands there. target, field: of `assertion.sub`, what is before and after the last dot."""

    evaluate: _Evaluate
    literal: str | None = None
    target: _Node | None = None
    field: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """One that has been parsed. roots: which of the names it uses."""

    text: str
    roots: frozenset[str]
    _evaluate: _Evaluate

    def value(self, names: Mapping[str, object]) -> object:
        """Raises Unsaid."""
        try:
            return self._evaluate(_Scope(names, [0]))
        except RecursionError as error:
            raise Unsaid("the token's claims are nested too deeply") from error


def parse(text: str, roots: Sequence[str]) -> Expression:
    """roots: the names that it may use. Raises ConditionInvalid, which says where and why."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConditionInvalid(f"an expression has {MAX_BYTES} bytes at most")
    parser = _Parser(text, roots)
    node = parser.expression()
    parser.end()
    return Expression(text, frozenset(parser.used), node.evaluate)


_TOKEN = re.compile(
    r"""(?P<string>[rR]?(?:"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'))
    | (?P<int>[0-9]{1,18}(?![\w.]))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+<>!()\[\],.?:])
    | (?P<end>\Z)""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", **{char: char for char in "\\\"'`?"}}


class _Parser(Reader):
    """Precedence as in CEL: conditional > disjunction > conjunction > relation > addition > unary > member > primary."""

    def __init__(self, text: str, roots: Sequence[str]) -> None:
        self.used: set[str] = set()
        self._roots = list(roots)
        self._bound: list[str] = []
        self._depth = self._operations = 0
        super().__init__(text, "expression", _TOKEN, _ESCAPES)

    def expression(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._invalid(f"it is nested more than {MAX_DEPTH} deep")
        node = self._disjunction()
        if self._take("?"):
            first = self._disjunction()
            self._expect(":")
            node = _conditional(node.evaluate, first.evaluate, self.expression().evaluate)
        self._depth -= 1
        return node

    def _disjunction(self) -> _Node:
        node = self._conjunction()
        while self._take("||"):
            node = _either(node.evaluate, self._conjunction().evaluate, stop=True)
        return node

    def _conjunction(self) -> _Node:
        node = self._relation()
        while self._take("&&"):
            node = _either(node.evaluate, self._relation().evaluate, stop=False)
        return node

    def _relation(self) -> _Node:
        left = self._addition()
        while (self._kind == "sign" and self._word in _RELATIONS) or (self._kind == "name" and self._word == "in"):
            relation = _RELATIONS[self._word]
            self._advance()
            left = _binary(relation, left.evaluate, self._addition().evaluate)
        return left

    def _addition(self) -> _Node:
        left = self._unary()
        while self._take("+"):
            left = _binary(_added, left.evaluate, self._unary().evaluate)
        return left

    def _unary(self) -> _Node:
        if self._kind == "sign" and self._word in ("!", "-"):
            negate = _not if self._word == "!" else _minus
            self._advance()
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._invalid(f"it is nested more than {MAX_DEPTH} deep")
            inner = self._unary().evaluate
            self._depth -= 1
            return _Node(lambda scope: negate(inner(scope)))
        return self._member()

    def _member(self) -> _Node:
        node = self._primary()
        while True:
            if self._take("."):
                name = self._name()
                node = self._called(node, name) if self._is_at("(") else _selected(node, name)
            elif self._take("["):
                index = self.expression().evaluate
                self._expect("]")
                node = _binary(_at, node.evaluate, index)
            else:
                return node

    def _primary(self) -> _Node:
        kind, token = self._kind, self._word
        if kind == "string":
            self._advance()
            value = token[2:-1] if token[0] in "rR" else self._unescaped(token[1:-1])
            return _Node(lambda scope: value, literal=value)
        if kind == "int":
            self._advance()
            number = int(token)
            return _Node(lambda scope: number)
        if kind == "name":
            return self._named()
        if self._take("("):
            node = self.expression()
            self._expect(")")
            return node
        if self._take("["):
            items = [item.evaluate for item in self._items("]", self.expression)]
            return _Node(lambda scope: [item(scope) for item in items])
        raise self._invalid("it ends too early" if kind == "end" else f"{token} is not expected")

    def _named(self) -> _Node:
        name = self._name()
        if name in _CONSTANTS:
            value = _CONSTANTS[name]
            return _Node(lambda scope: value)
        if self._is_at("("):
            return self._function(name)
        if name in self._roots:
            self.used.add(name)
        elif name not in self._bound:
            raise self._invalid(f"there is no {name} here: it is one of {', '.join(self._roots)}")
        return _Node(lambda scope: scope.names[name])

    def _function(self, name: str) -> _Node:
        arguments = self._arguments()
        if len(arguments) != 1:
            raise self._invalid(f"{name}() takes one value")
        node = arguments[0]
        if name == "has":
            target, field = node.target, node.field
            if target is None:
                raise self._invalid("has() takes a field, such as has(assertion.email)")
            return _Node(lambda scope: field in _mapping(target.evaluate(scope)))
        function = {"size": _size, "string": _string}.get(name)
        if function is None:
            raise self._invalid(f"there is no function {name}(): it is has(), size() or string()")
        evaluate = node.evaluate
        return _Node(lambda scope: function(evaluate(scope)))

    def _called(self, node: _Node, method: str) -> _Node:
        if method in ("exists", "all"):
            return self._over(node, stop=method == "exists")
        arguments = self._arguments()
        if method == "extract":
            return self._extract(node, arguments)
        known = _METHODS.get(method)
        if known is None:
            raise self._invalid(f"there is no method {method}(): it is one of {', '.join(sorted([*_METHODS, 'extract', 'exists', 'all']))}")
        count, function = known
        if len(arguments) != count:
            raise self._invalid(f"{method}() takes {count} values")
        text, others = node.evaluate, [argument.evaluate for argument in arguments]
        return _Node(lambda scope: function(text(scope), *(other(scope) for other in others)))

    def _extract(self, node: _Node, arguments: list[_Node]) -> _Node:
        template = TEMPLATE.fullmatch(arguments[0].literal or "") if len(arguments) == 1 else None
        if template is None:
            raise self._invalid('extract() takes a template with one {name}, such as "repo:{repository}:"')
        before, after, text = template[1], template[2], node.evaluate
        return _Node(lambda scope: extracted(_text(text(scope)), before, after))

    def _over(self, node: _Node, *, stop: bool) -> _Node:
        """`list.exists(x, condition)` and `list.all(x, condition)`."""
        self._expect("(")
        name = self._name()
        if name in self._roots or name in _CONSTANTS:
            raise self._invalid(f"{name} has a meaning already")
        self._expect(",")
        self._bound.append(name)
        condition = self.expression().evaluate
        self._bound.pop()
        self._expect(")")
        items = node.evaluate

        def evaluate(scope: _Scope) -> object:
            for item in _list(items(scope)):
                scope.step()
                if _bool(condition(_Scope({**scope.names, name: item}, scope.steps))) is stop:
                    return stop
            return not stop

        return _Node(evaluate)

    def _arguments(self) -> list[_Node]:
        self._expect("(")
        return self._items(")", self.expression)

    def _advance(self) -> None:
        self._operations += 1
        if self._operations > 3 * MAX_OPERATIONS:
            raise self._invalid("it is too long")
        super()._advance()


_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}


def _conditional(condition: _Evaluate, first: _Evaluate, second: _Evaluate) -> _Node:
    return _Node(lambda scope: first(scope) if _bool(condition(scope)) else second(scope))


def _either(first: _Evaluate, second: _Evaluate, *, stop: bool) -> _Node:
    return _Node(either(lambda scope: _bool(first(scope)), lambda scope: _bool(second(scope)), stop=stop, unsaid=(Unsaid,)))


def _binary(function: Callable[[object, object], object], left: _Evaluate, right: _Evaluate) -> _Node:
    def evaluate(scope: _Scope) -> object:
        scope.step()
        return function(left(scope), right(scope))

    return _Node(evaluate)


def _selected(node: _Node, name: str) -> _Node:
    evaluate = node.evaluate
    return _Node(lambda scope: _at(evaluate(scope), name), target=node, field=name)


def _at(value: object, index: object) -> object:
    if isinstance(value, Mapping) and isinstance(index, str):
        if index not in value:
            raise Unsaid(f"there is no {index[:100]}")
        found: object = value[index]
        return found
    if isinstance(value, list) and _is_number(index) and isinstance(index, int):
        if not 0 <= index < len(value):
            raise Unsaid(f"a list has no item {index}")
        return value[index]
    raise Unsaid("only objects have fields, and only lists have numbered items")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: object, right: object) -> bool:
    """Unlike Python, 1 is not true; unlike elsewhere, values of two types are just not equal."""
    if _is_number(left) and _is_number(right):
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return type(left) is type(right) and left == right


def _contains(left: object, right: object) -> bool:
    """`left in right`: an item of a list, or a name of an object; never a part of a text."""
    if isinstance(right, Mapping):
        return isinstance(left, str) and left in right
    return any(_same(left, item) for item in _list(right))


def _ordered(compare: Callable[[int], bool]) -> Callable[[object, object], object]:
    def evaluate(left: object, right: object) -> object:
        if isinstance(left, str) and isinstance(right, str):
            return compare((left > right) - (left < right))
        if isinstance(left, int | float) and isinstance(right, int | float) and _is_number(left) and _is_number(right):
            return compare((left > right) - (left < right))
        raise Unsaid("only two texts or two numbers have an order")

    return evaluate


_RELATIONS: dict[str, Callable[[object, object], object]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    "<": _ordered(lambda sign: sign < 0),
    "<=": _ordered(lambda sign: sign <= 0),
    ">": _ordered(lambda sign: sign > 0),
    ">=": _ordered(lambda sign: sign >= 0),
    "in": _contains,
}


def _added(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return _short(left + right)
    if isinstance(left, list) and isinstance(right, list) and len(left) + len(right) <= MAX_STEPS:
        return [*left, *right]
    if isinstance(left, int | float) and isinstance(right, int | float) and _is_number(left) and _is_number(right):
        return left + right
    raise Unsaid("+ joins two texts, two lists or two numbers")


def _not(value: object) -> object:
    return not _bool(value)


def _minus(value: object) -> object:
    if isinstance(value, int | float) and _is_number(value):
        return -value
    raise Unsaid("- needs a number")


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unsaid(f"a {_kind(value)} is neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unsaid(f"this needs a text, and it is a {_kind(value)}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unsaid(f"this needs a list, and it is a {_kind(value)}")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Unsaid(f"a {_kind(value)} has no fields")
    return value


def _kind(value: object) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}
    return names.get(type(value), "value")


def _size(value: object) -> object:
    if isinstance(value, str | list | Mapping):
        return len(value)
    raise Unsaid(f"a {_kind(value)} has no size")


def _string(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise Unsaid(f"a {_kind(value)} cannot be written as a text")


def _short(text: str) -> str:
    if len(text) > MAX_RESULT_CHARACTERS:
        raise Unsaid("a text becomes too long")
    return text


def _replaced(value: object, old: object, new: object) -> object:
    text, old, new = _text(value), _text(old), _text(new)
    if len(text) + text.count(old) * len(new) > MAX_RESULT_CHARACTERS:
        raise Unsaid("a text becomes too long")
    return text.replace(old, new)


def _split(value: object, separator: object) -> object:
    text, separator = _text(value), _text(separator)
    return list(text.split(separator) if separator else text)


def _joined(value: object, separator: object) -> object:
    items, separator = [_text(item) for item in _list(value)], _text(separator)
    if sum(map(len, items)) + len(items) * len(separator) > MAX_RESULT_CHARACTERS:
        raise Unsaid("a text becomes too long")
    return separator.join(items)


def _lower(value: object) -> object:
    return "".join(char.lower() if char.isascii() else char for char in _text(value))


def _upper(value: object) -> object:
    return "".join(char.upper() if char.isascii() else char for char in _text(value))


# How many values each takes beside what it is called on.
_METHODS: dict[str, tuple[int, Callable[..., object]]] = {
    "startsWith": (1, lambda value, other: _text(value).startswith(_text(other))),
    "endsWith": (1, lambda value, other: _text(value).endswith(_text(other))),
    "contains": (1, lambda value, other: _text(other) in _text(value)),
    "lowerAscii": (0, _lower),
    "upperAscii": (0, _upper),
    "trim": (0, lambda value: _text(value).strip()),
    "replace": (2, _replaced),
    "split": (1, _split),
    "join": (1, _joined),
    "size": (0, _size),
}
