"""The expression language: reading, types, values; whatever is thrown at it, it answers or says where it is wrong."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ivr.expression import (
    FUNCTIONS,
    LARGEST,
    LONGEST_TEXT,
    Expression,
    ExpressionError,
    ExpressionFault,
    Kind,
    Literal,
    Name,
    Operation,
    Value,
    check,
    evaluate,
    kind_of,
    names_in,
    parse,
)

KNOWN = {"caller.tier": Kind.TEXT, "answer.order": Kind.TEXT, "data.total": Kind.NUMBER, "caller.known": Kind.FLAG}
VALUES: dict[str, Value] = {
    "caller.tier": "vip",
    "answer.order": "0042",
    "data.total": Decimal("19.90"),
    "caller.known": True,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('caller.tier == "vip" and length(answer.order) >= 4', True),
        ("not caller.known or data.total > 100", False),
        ("1 + 2 * 3 - 4 / 2", Decimal(5)),
        ("-(2 - 5) % 2", Decimal(1)),
        ('"a" + \'b\' == "ab"', True),
        ("number(answer.order) == 42", True),
        ('text(data.total) == "19.9"', True),
        ("last(answer.order, 2) == '42' and first(answer.order, 2) == '00'", True),
        ("last('ab', 5) == 'ab' and last('ab', 0) == ''", True),
        ("digits('A-12/3') == '123'", True),
        ("starts_with('+49 89', '+49') and ends_with('x.y', '.y') and contains('abc', 'b')", True),
        ("least(2, 3) + most(2, 3) == 5 and rounded(2.6) == 3", True),
        ("lower('VIP') == caller.tier", True),
        ("true or number('x') == 1", True),
        ("1 <= 2 and 'a' < 'b' and 2 != 3", True),
    ],
)
def test_values(text: str, value: Value) -> None:
    tree = parse(text)
    assert evaluate(tree, VALUES) == value
    assert check(tree, KNOWN) is kind_of(value)


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("", 1, "missing at the end"),
        ("1 +", 4, "missing at the end"),
        ("1 2", 3, "out of place"),
        ("(1", 1, "not closed"),
        ("length(answer.order", 1, "not closed"),
        ("1 < 2 < 3", 7, "chained"),
        ("system('x')", 1, 'no function "system"'),
        ("__import__", 1, '"_" means nothing'),
        ("a.b.c", 4, '"." means nothing'),
        ("caller.tier = 'vip'", 13, '"=" means nothing'),
        ('"open', 1, "means nothing"),
        ("and true", 1, "missing before"),
        ("1 + nobody", 5, "not known"),
        ("1 + 'a'", 3, "does not go with number and text"),
        ("not 1", 1, "does not go with number"),
        ("length(1)", 1, "does not go with number"),
        ("length('a', 'b')", 1, "does not go with text and text"),
        ("caller.known < true", 14, "does not go with flag and flag"),
        ("9" * 40, 1, "too large"),
        ("(" * 60 + "1" + ")" * 60, 27, "deep"),
        ("1" + "+1" * 300, 402, "more than 200"),
        ("1 " * 600, 1, "longer than"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text: str, column: int, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check(parse(text), KNOWN)
    assert told in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize("text", ["1 / 0", "1 % 0", "number('x')", "number('١٢')", "9 / 0.0", f"{LARGEST} * 10"])
def test_what_cannot_be_computed_is_a_fault(text: str) -> None:
    tree = parse(text)
    check(tree, {})
    with pytest.raises(ExpressionFault):
        evaluate(tree, {})


def test_texts_do_not_grow_without_end() -> None:
    tree = parse("+".join(["a.b"] * 20))
    with pytest.raises(ExpressionFault):
        evaluate(tree, {"a.b": "x" * (LONGEST_TEXT // 10)})


def test_names() -> None:
    assert names_in(parse("length(a.b) + c > 1 or not d.e")) == {"a.b", "c", "d.e"}


SIGNS = ["and", "or", "not", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "(", ")", ","]
WORDS = st.sampled_from([*SIGNS, *KNOWN, *sorted(FUNCTIONS), "1", "2.5", '"a"', "'12'", "true", "nobody", "__class__"])


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map(" ".join)))
def test_any_text_is_read_or_refused_and_what_fits_its_types_gives_that_type(text: str) -> None:
    column = 1
    with contextlib.suppress(ExpressionFault):
        try:
            tree = parse(text)
            kind = check(tree, KNOWN)
        except ExpressionError as error:
            column = error.column
        else:
            assert kind_of(evaluate(tree, VALUES)) is kind
    assert 1 <= column <= len(text) + 1


def shown(tree: Expression) -> str:
    match tree:
        case Literal(value=bool()):
            return str(tree.value).lower()
        case Literal(value=str()):
            return f'"{tree.value}"'
        case Literal():
            return f"{tree.value:f}"
        case Name():
            return tree.name
        case Operation(sign="negative"):
            return f"-({shown(tree.operands[0])})"
        case Operation(sign="not"):
            return f"(not ({shown(tree.operands[0])}))"
        case Operation() if tree.sign in FUNCTIONS:
            return f"{tree.sign}({', '.join(map(shown, tree.operands))})"
        case Operation():
            return f"({shown(tree.operands[0])}) {tree.sign} ({shown(tree.operands[1])})"


@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_brackets_only_say_what_was_meant_already(text: str) -> None:
    try:
        tree = parse(text)
        again = parse(shown(tree))
    except ExpressionError:
        return
    assert shown(again) == shown(tree)
