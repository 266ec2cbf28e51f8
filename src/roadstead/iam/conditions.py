"""
When a binding holds: IAM Conditions, the small part of CEL (Common Expression Language) that IAM documents.

Attributes are `request.time`, `resource.name`, `resource.type`, `resource.service`. Everything has a type that is known before anything is
evaluated, so what makes no sense is refused when the policy is set. What fails all the same (a timestamp cut out of a name that holds
none) does not hold. An expression cannot loop, has no regular expressions, and its size and depth are limited.

Why this is not a library: cel-python 0.5 takes 0.12 s and 18 MB to import in every serving process, 0.13 s for its first expression and
0.6 ms for each evaluation of a short one; common-expression-language 0.10 takes 0.3 s and 30 MB. Neither has IAM's `extract()`, nor tells
at setIamPolicy that `resource.nam` or `request.time < 5` can never hold; `getHours("Europe/Berlin")` is missing in the second. The part
that IAM documents needs one file, and evaluates in microseconds.

Spec: IAM, Attribute reference for IAM Conditions (https://cloud.google.com/iam/docs/conditions-attribute-reference); CEL, Language
definition (https://github.com/google/cel-spec/blob/master/doc/langdef.md).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import cast

from roadstead.errors import ConditionInvalid
from roadstead.iam import times
from roadstead.iam.cel import SURROGATE, TEMPLATE, Reader, either, extracted

MAX_EXPRESSION_BYTES = 2048
MAX_LOGICAL_OPERATORS = 12
"""IAM's own limit on `&&`, `||` and `!` in one condition."""
MAX_OPERATIONS = 100
MAX_DEPTH = 20

_INT64 = range(-(2**63), 2**63)

Value = bool | int | str | tuple["Value", ...]
"""Timestamps (since 1970) and durations are integers in microseconds; the static type keeps them apart."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a condition may ask about: now, and the resource that is asked for, as Google's services name it."""

    now_us: int
    resource_name: str = ""
    resource_type: str = ""
    resource_service: str = ""


Evaluate = Callable[[Context], Value]


class _CannotSay(Exception):
    """The value does not exist for this request."""


# The last two are a calendar's, beyond the years 1 to 9999.
_UNSAID = (_CannotSay, OverflowError, ValueError)


@dataclass(frozen=True, slots=True)
class _Node:
    """type: bool, int, string, timestamp, duration, or list of one of them. literal: the text, if it stands there as a literal."""

    type: str
    evaluate: Evaluate
    literal: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that has been checked."""

    expression: str
    _evaluate: Evaluate

    def holds(self, context: Context) -> bool:
        """False also for what cannot be said."""
        try:
            return self._evaluate(context) is True
        except _UNSAID:
            return False


def parse(expression: str) -> Condition:
    """Raises ConditionInvalid, which says where and why."""
    if len(expression) > MAX_EXPRESSION_BYTES or len(expression.encode(errors="surrogatepass")) > MAX_EXPRESSION_BYTES:
        raise ConditionInvalid(f"a condition's expression has {MAX_EXPRESSION_BYTES} bytes at most")
    if SURROGATE.search(expression):
        raise ConditionInvalid("a condition's expression is text, and half a surrogate pair is none")
    parser = _Parser(expression)
    node = parser.disjunction()
    parser.end()
    if node.type != "bool":
        raise ConditionInvalid(f"a condition must be true or false, and this is of type {node.type}", {"expression": expression})
    return Condition(expression, node.evaluate)


_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    | (?P<int>[0-9]+(?![\w.]))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+<>!()\[\],.])
    | (?P<end>\Z)""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", **{char: char for char in "\\\"'`?"}}
_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERED = frozenset({"int", "string", "timestamp", "duration"})
# Result of left ± right, by the three.
_SUMS = {
    ("int", "+", "int"): "int",
    ("int", "-", "int"): "int",
    ("string", "+", "string"): "string",
    ("timestamp", "+", "duration"): "timestamp",
    ("duration", "+", "timestamp"): "timestamp",
    ("timestamp", "-", "duration"): "timestamp",
    ("timestamp", "-", "timestamp"): "duration",
    ("duration", "+", "duration"): "duration",
    ("duration", "-", "duration"): "duration",
}
_ATTRIBUTES = {
    "request.time": _Node("timestamp", lambda context: context.now_us),
    "resource.name": _Node("string", lambda context: context.resource_name),
    "resource.type": _Node("string", lambda context: context.resource_type),
    "resource.service": _Node("string", lambda context: context.resource_service),
}
# CEL counts months and days from 0, except in getDate; the week begins on Sunday.
_FIELDS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}


class _Parser(Reader):
    """Recursive descent: disjunction > conjunction > comparison > sum > unary > member > primary."""

    def __init__(self, expression: str) -> None:
        self._logical = 0
        self._operations = 0
        self._depth = 0
        super().__init__(expression, "condition", _TOKEN, _ESCAPES)

    def disjunction(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._invalid(f"parentheses go {MAX_DEPTH} deep at most")
        node = self._conjunction()
        while self._take("||"):
            self._count_logical()
            node = self._either(node, self._conjunction(), stop=True)
        self._depth -= 1
        return node

    def _conjunction(self) -> _Node:
        node = self._comparison()
        while self._take("&&"):
            self._count_logical()
            node = self._either(node, self._comparison(), stop=False)
        return node

    def _comparison(self) -> _Node:
        left = self._sum()
        while (self._kind == "sign" and self._word in _COMPARISONS) or (self._kind == "name" and self._word == "in"):
            sign = self._word
            self._advance()
            self._count_operation()
            left = self._compared(left, sign, self._sum())
        return left

    def _compared(self, left: _Node, sign: str, right: _Node) -> _Node:
        first, second = left.evaluate, right.evaluate
        if sign == "in":
            if right.type != f"list of {left.type}":
                raise self._invalid(f"{left.type} in {right.type} makes no sense")
            return _Node("bool", lambda context: first(context) in cast(tuple[Value, ...], second(context)))
        if left.type != right.type or (sign not in ("==", "!=") and left.type not in _ORDERED):
            raise self._invalid(f"{left.type} {sign} {right.type} makes no sense")
        compare = _COMPARISONS[sign]
        return _Node("bool", lambda context: compare(first(context), second(context)))

    def _sum(self) -> _Node:
        left = self._unary()
        while self._kind == "sign" and self._word in ("+", "-"):
            sign = self._word
            self._advance()
            self._count_operation()
            right = self._unary()
            kind = _SUMS.get((left.type, sign, right.type))
            if kind is None:
                raise self._invalid(f"{left.type} {sign} {right.type} makes no sense")
            left = _Node(kind, _added(left.evaluate, right.evaluate, sign))
        return left

    def _unary(self) -> _Node:
        negations = 0
        while self._take("!"):
            self._count_logical()
            negations += 1
        node = self._member()
        if not negations:
            return node
        if node.type != "bool":
            raise self._invalid(f"! needs a bool, and this is of type {node.type}")
        inner = node.evaluate
        return _Node("bool", (lambda context: not inner(context)) if negations % 2 else inner)

    def _member(self) -> _Node:
        node = self._primary()
        while self._take("."):
            self._count_operation()
            method = self._name()
            node = self._called(node, method, self._arguments())
        return node

    def _primary(self) -> _Node:
        kind, text = self._kind, self._word
        if kind == "string":
            self._advance()
            value = self._unescaped(text[1:-1])
            return _Node("string", lambda context: value, literal=value)
        if kind == "int":
            return self._number(1)
        if self._take("-"):
            return self._number(-1)
        if self._take("("):
            node = self.disjunction()
            self._expect(")")
            return node
        if self._take("["):
            return self._list()
        if kind == "name":
            return self._named()
        raise self._invalid("the expression ends too early" if kind == "end" else f"{text} is not expected")

    def _number(self, sign: int) -> _Node:
        if self._kind != "int":
            raise self._invalid("- needs a number")
        number = sign * int(self._word)
        if number not in _INT64:
            raise self._invalid("an int has 64 bits")
        self._advance()
        return _Node("int", lambda context: number)

    def _list(self) -> _Node:
        items = self._items("]", self._item)
        kinds = {item.type for item in items}
        if len(kinds) != 1:
            raise self._invalid("a list has one or more values of one type")
        evaluations = [item.evaluate for item in items]
        return _Node(f"list of {kinds.pop()}", lambda context: tuple(evaluate(context) for evaluate in evaluations))

    def _named(self) -> _Node:
        name = self._name()
        if name in ("true", "false"):
            value = name == "true"
            return _Node("bool", lambda context: value)
        if self._is_at("("):
            return self._function(name, self._arguments())
        self._expect(".")
        path = f"{name}.{self._name()}"
        attribute = _ATTRIBUTES.get(path)
        if attribute is None:
            raise self._invalid(f"there is no attribute {path}: it is one of {', '.join(_ATTRIBUTES)}")
        return attribute

    def _function(self, name: str, arguments: list[_Node]) -> _Node:
        self._count_operation()
        read = {"timestamp": times.timestamp, "date": times.date, "duration": times.duration}.get(name)
        if read is None:
            raise self._invalid(f"there is no function {name}(): it is timestamp(), date() or duration()")
        if [argument.type for argument in arguments] != ["string"]:
            raise self._invalid(f"{name}() takes one string")
        kind = "duration" if name == "duration" else "timestamp"
        text, literal = arguments[0].evaluate, arguments[0].literal
        if literal is None:
            return _Node(kind, lambda context: read(cast(str, text(context))))
        try:
            value = read(literal)
        except ValueError as error:
            raise self._invalid(str(error)) from error
        return _Node(kind, lambda context: value)

    def _called(self, node: _Node, method: str, arguments: list[_Node]) -> _Node:
        if node.type == "timestamp" and method in _FIELDS:
            return self._field(node, method, arguments)
        if node.type != "string" or method not in ("startsWith", "endsWith", "contains", "extract"):
            raise self._invalid(f"{node.type} has no {method}()")
        if [argument.type for argument in arguments] != ["string"]:
            raise self._invalid(f"{method}() takes one string")
        text, other = node.evaluate, arguments[0].evaluate
        if method == "extract":
            before, after = self._template(arguments[0].literal)
            return _Node("string", lambda context: extracted(cast(str, text(context)), before, after))
        if method == "startsWith":
            return _Node("bool", lambda context: cast(str, text(context)).startswith(cast(str, other(context))))
        if method == "endsWith":
            return _Node("bool", lambda context: cast(str, text(context)).endswith(cast(str, other(context))))
        return _Node("bool", lambda context: cast(str, other(context)) in cast(str, text(context)))

    def _field(self, node: _Node, method: str, arguments: list[_Node]) -> _Node:
        zone: tzinfo = UTC
        if arguments:
            if len(arguments) > 1 or arguments[0].literal is None:
                raise self._invalid(f'{method}() takes at most one time zone, such as "Europe/Berlin" or "-08:00"')
            named = times.time_zone(arguments[0].literal)
            if named is None:
                raise self._invalid(f"there is no time zone {arguments[0].literal}")
            zone = named
        instant, field = node.evaluate, _FIELDS[method]
        return _Node("int", lambda context: field(times.local(cast(int, instant(context)), zone)))

    def _template(self, literal: str | None) -> tuple[str, str]:
        found = None if literal is None else TEMPLATE.fullmatch(literal)
        if found is None:
            raise self._invalid('extract() takes a template with one {name}, such as "buckets/{bucket}/objects"')
        return found[1], found[2]

    def _either(self, left: _Node, right: _Node, *, stop: bool) -> _Node:
        """`||` (stop is True) and `&&`. One side that decides is enough, even if the other cannot be said (CEL, Logical operators)."""
        if left.type != "bool" or right.type != "bool":
            raise self._invalid(f"&& and || need a bool on both sides, and these are {left.type} and {right.type}")
        return _Node("bool", either(left.evaluate, right.evaluate, stop=stop, unsaid=_UNSAID))

    def _arguments(self) -> list[_Node]:
        self._expect("(")
        return self._items(")", self._item)

    def _item(self) -> _Node:
        self._count_operation()
        return self.disjunction()

    def _count_logical(self) -> None:
        self._logical += 1
        if self._logical > MAX_LOGICAL_OPERATORS:
            raise self._invalid(f"a condition has {MAX_LOGICAL_OPERATORS} logical operators (&&, ||, !) at most")

    def _count_operation(self) -> None:
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            raise self._invalid(f"a condition has {MAX_OPERATIONS} operations at most")


def _added(left: Evaluate, right: Evaluate, sign: str) -> Evaluate:
    def evaluate(context: Context) -> Value:
        first, second = left(context), right(context)
        if isinstance(first, str):
            return first + cast(str, second)
        total = cast(int, first) + (cast(int, second) if sign == "+" else -cast(int, second))
        if total not in _INT64:
            raise _CannotSay
        return total

    return evaluate
