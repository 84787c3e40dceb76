"""The expression language of flows: small, typed, total. It can compare and compute, and nothing else.

    caller.tier == "vip" and length(answer.order) >= 4

Theory of operation. `parse` turns text into a tree (or an `ExpressionError` with its column), `check` finds its type from
the types of the names it uses, `evaluate` computes it from their values. There are three types (text, number, flag) and
none is turned into another by itself. Nothing is looked up by attribute, called by name or evaluated as code: names are
keys of a mapping, functions a fixed table. Every input ends: trees, texts and numbers are bounded; what cannot be computed
(division by zero, a number out of a text that is none) is an `ExpressionFault`, which a step takes as its `failure` exit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException
from enum import StrEnum
from typing import TypeAlias

from cti.errors import CtiError

MOST_NODES = 200
DEEPEST = 25
LONGEST_TEXT = 1000
LARGEST = Decimal(10) ** 15

Value: TypeAlias = str | Decimal | bool


class Kind(StrEnum):
    """The type of a value."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"


class ExpressionError(CtiError):
    """The text is no expression, or its types do not fit. `column` counts from 1."""

    error_id = "expression_invalid"

    def __init__(self, message: str, column: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, column=column)
        self.column = column


class ExpressionFault(CtiError):
    """The expression cannot be computed from these values."""

    error_id = "expression_fault"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written."""

    value: Value
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A value the flow knows, `caller.tier`."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or a function over its operands."""

    sign: str
    operands: tuple[Expression, ...]
    at: int


Expression: TypeAlias = Literal | Name | Operation

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[0-9]+(?:\.[0-9]+)?) |
        (?P<text>"[^"\\\n]*"|'[^'\\\n]*') |
        (?P<word>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?) |
        (?P<sign><=|>=|==|!=|[-+*/%<>(),])
    )""",
    re.VERBOSE | re.ASCII,
)
_CONTEXT = Context(prec=28)

_T, _N, _F = Kind.TEXT, Kind.NUMBER, Kind.FLAG
_SIGNATURES: Mapping[str, tuple[tuple[tuple[Kind, ...], Kind], ...]] = {
    "or": (((_F, _F), _F),),
    "and": (((_F, _F), _F),),
    "not": (((_F,), _F),),
    "==": (((_T, _T), _F), ((_N, _N), _F), ((_F, _F), _F)),
    "!=": (((_T, _T), _F), ((_N, _N), _F), ((_F, _F), _F)),
    "<": (((_N, _N), _F), ((_T, _T), _F)),
    "<=": (((_N, _N), _F), ((_T, _T), _F)),
    ">": (((_N, _N), _F), ((_T, _T), _F)),
    ">=": (((_N, _N), _F), ((_T, _T), _F)),
    "+": (((_N, _N), _N), ((_T, _T), _T)),
    "-": (((_N, _N), _N),),
    "*": (((_N, _N), _N),),
    "/": (((_N, _N), _N),),
    "%": (((_N, _N), _N),),
    "negative": (((_N,), _N),),
    "length": (((_T,), _N),),
    "number": (((_T,), _N),),
    "text": (((_N,), _T), ((_T,), _T)),
    "contains": (((_T, _T), _F),),
    "starts_with": (((_T, _T), _F),),
    "ends_with": (((_T, _T), _F),),
    "last": (((_T, _N), _T),),
    "first": (((_T, _N), _T),),
    "digits": (((_T,), _T),),
    "lower": (((_T,), _T),),
    "least": (((_N, _N), _N),),
    "most": (((_N, _N), _N),),
    "rounded": (((_N,), _N),),
}
FUNCTIONS = frozenset(name for name in _SIGNATURES if name.isalpha() or "_" in name) - {"or", "and", "not", "negative"}
"""What can be called."""


# ---- reading


def parse(text: str) -> Expression:
    """Read an expression. Raises `ExpressionError`."""
    reader = _Reader(text)
    tree = reader.any_of(0)
    if reader.word is not None:
        raise ExpressionError(
            f'"{reader.word}" is out of place', reader.at, "operators: and or not == != < <= > >= + - * / %"
        )
    return tree


class _Reader:
    """Recursive descent over tokens, as deep as `DEEPEST` and no deeper."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._nodes = 0
        self._end = len(text) + 1

    @property
    def word(self) -> str | None:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else None

    @property
    def at(self) -> int:
        return self._tokens[self._next][2] if self._next < len(self._tokens) else self._end

    def _take(self) -> tuple[str, str, int]:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _operation(self, sign: str, operands: tuple[Expression, ...], at: int) -> Operation:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ExpressionError(f"more than {MOST_NODES} operations", at, "split it with `set` into several steps")
        return Operation(sign, operands, at)

    def any_of(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise ExpressionError(f"nested more than {DEEPEST} deep", self.at, "split it with `set` into several steps")
        left = self._all_of(depth)
        while self.word == "or":
            _, sign, at = self._take()
            left = self._operation(sign, (left, self._all_of(depth)), at)
        return left

    def _all_of(self, depth: int) -> Expression:
        left = self._negation(depth)
        while self.word == "and":
            _, sign, at = self._take()
            left = self._operation(sign, (left, self._negation(depth)), at)
        return left

    def _negation(self, depth: int) -> Expression:
        nots = []
        while self.word == "not":
            nots.append(self._take()[2])
        tree = self._comparison(depth)
        for at in reversed(nots):
            tree = self._operation("not", (tree,), at)
        return tree

    def _comparison(self, depth: int) -> Expression:
        left = self._sum(depth)
        if self.word in ("==", "!=", "<", "<=", ">", ">="):
            _, sign, at = self._take()
            left = self._operation(sign, (left, self._sum(depth)), at)
            if self.word in ("==", "!=", "<", "<=", ">", ">="):
                raise ExpressionError("comparisons cannot be chained", self.at, "write a < b and b < c")
        return left

    def _sum(self, depth: int) -> Expression:
        left = self._product(depth)
        while self.word in ("+", "-"):
            _, sign, at = self._take()
            left = self._operation(sign, (left, self._product(depth)), at)
        return left

    def _product(self, depth: int) -> Expression:
        left = self._signed(depth)
        while self.word in ("*", "/", "%"):
            _, sign, at = self._take()
            left = self._operation(sign, (left, self._signed(depth)), at)
        return left

    def _signed(self, depth: int) -> Expression:
        minuses = []
        while self.word == "-":
            minuses.append(self._take()[2])
        tree = self._single(depth)
        for at in reversed(minuses):
            tree = self._operation("negative", (tree,), at)
        return tree

    def _single(self, depth: int) -> Expression:
        if self.word is None:
            raise ExpressionError("something is missing at the end", self._end, 'as in caller.tier == "vip"')
        kind, word, at = self._take()
        match kind:
            case "number":
                if Decimal(word) > LARGEST:
                    raise ExpressionError("the number is too large", at, f"at most {LARGEST:f}")
                return Literal(Decimal(word), at)
            case "text":
                return Literal(word[1:-1], at)
            case "word":
                return self._named(word, at, depth)
        if word == "(":
            tree = self.any_of(depth + 1)
            self._close(at)
            return tree
        raise ExpressionError(f'a value is missing before "{word}"', at, 'as in caller.tier == "vip"')

    def _named(self, word: str, at: int, depth: int) -> Expression:
        if word in ("true", "false"):
            return Literal(word == "true", at)
        if word in ("and", "or", "not"):
            raise ExpressionError(f'a value is missing before "{word}"', at, 'as in caller.tier == "vip"')
        if self.word != "(":
            return Name(word, at)
        if word not in FUNCTIONS:
            raise ExpressionError(f'there is no function "{word}"', at, f"there are {', '.join(sorted(FUNCTIONS))}")
        self._take()
        operands = [self.any_of(depth + 1)]
        while self.word == ",":
            self._take()
            operands.append(self.any_of(depth + 1))
        self._close(at)
        return self._operation(word, tuple(operands), at)

    def _close(self, opened: int) -> None:
        if self.word != ")":
            raise ExpressionError("the bracket is not closed", opened, "add )")
        self._take()


def _tokens(text: str) -> list[tuple[str, str, int]]:
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"longer than {LONGEST_TEXT} characters", 1, "split it with `set` into several steps")
    tokens: list[tuple[str, str, int]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise ExpressionError(
                f'"{text[column - 1]}" means nothing here', column, "texts stand in quotes; == compares"
            )
        tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        at = match.end()
    return tokens


# ---- types


def names_in(tree: Expression) -> frozenset[str]:
    """Every name an expression uses."""
    match tree:
        case Name():
            return frozenset({tree.name})
        case Operation():
            return frozenset().union(*map(names_in, tree.operands))
        case _:
            return frozenset()


def check(tree: Expression, known: Mapping[str, Kind]) -> Kind:
    """The type of an expression over names of these types. Raises `ExpressionError` where they do not fit."""
    match tree:
        case Literal():
            return kind_of(tree.value)
        case Name():
            if tree.name not in known:
                raise ExpressionError(
                    f'"{tree.name}" is not known here', tree.at, f"known are {', '.join(sorted(known)) or 'no names'}"
                )
            return known[tree.name]
        case Operation():
            kinds = tuple(check(operand, known) for operand in tree.operands)
            for wanted, result in _SIGNATURES[tree.sign]:
                if wanted == kinds:
                    return result
            shown = "-" if tree.sign == "negative" else tree.sign
            got = " and ".join(kinds)
            wants = " or ".join(" and ".join(wanted) for wanted, _ in _SIGNATURES[tree.sign])
            raise ExpressionError(f'"{shown}" does not go with {got}', tree.at, f"it takes {wants}")


def kind_of(value: Value) -> Kind:
    """The type of a value."""
    return Kind.FLAG if isinstance(value, bool) else Kind.NUMBER if isinstance(value, Decimal) else Kind.TEXT


# ---- computing


def evaluate(tree: Expression, values: Mapping[str, Value]) -> Value:
    """The value of a checked expression. Raises `ExpressionFault`."""
    match tree:
        case Literal():
            return tree.value
        case Name():
            try:
                return values[tree.name]
            except KeyError:
                raise ExpressionFault(f'"{tree.name}" has no value', name=tree.name) from None
        case Operation(sign="and"):
            return bool(evaluate(tree.operands[0], values)) and bool(evaluate(tree.operands[1], values))
        case Operation(sign="or"):
            return bool(evaluate(tree.operands[0], values)) or bool(evaluate(tree.operands[1], values))
        case Operation():
            operands = [evaluate(operand, values) for operand in tree.operands]
            try:
                return _bounded(_COMPUTE[tree.sign](*operands))
            except (DecimalException, TypeError, ValueError):
                raise ExpressionFault(f'"{tree.sign}" cannot be computed from these values') from None


def _bounded(value: Value) -> Value:
    if isinstance(value, Decimal) and not abs(value) <= LARGEST:
        raise ExpressionFault("the number is too large")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ExpressionFault("the text is too long")
    return value


def _number(text: str) -> Decimal:
    if re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]{1,9})?", text, re.ASCII) is None:
        raise ValueError
    return Decimal(text)


def _text(value: str | Decimal) -> str:
    return value if isinstance(value, str) else f"{value.normalize(_CONTEXT):f}"


def _count(value: Decimal) -> int:
    return max(0, min(int(value), LONGEST_TEXT))


_COMPUTE: Mapping[str, Callable[..., Value]] = {
    "not": lambda a: not a,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b if isinstance(a, str) else _CONTEXT.add(a, b),
    "-": _CONTEXT.subtract,
    "*": _CONTEXT.multiply,
    "/": _CONTEXT.divide,
    "%": _CONTEXT.remainder,
    "negative": lambda a: -a,
    "length": lambda a: Decimal(len(a)),
    "number": _number,
    "text": _text,
    "contains": lambda a, b: b in a,
    "starts_with": lambda a, b: a.startswith(b),
    "ends_with": lambda a, b: a.endswith(b),
    "last": lambda a, n: a[len(a) - _count(n) :] if _count(n) <= len(a) else a,
    "first": lambda a, n: a[: _count(n)],
    "digits": lambda a: "".join(c for c in a if c in "0123456789"),
    "lower": lambda a: a.lower(),
    "least": min,
    "most": max,
    "rounded": lambda a: a.quantize(Decimal(1), context=_CONTEXT),
}
