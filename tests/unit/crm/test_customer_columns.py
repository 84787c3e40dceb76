"""What headings mean, what rows say, and what may stand in a customer's fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.crm.checking import Rules, Unfit, checked, field_value, text
from cti.crm.columns import guess, mapping_problem, onto, problem, read_row, unquoted
from cti.crm.exports import harmless
from cti.crm.merging import joined
from cti.crm.numbers import typed
from cti.crm.search import tsquery
from cti.services.customer_file import CustomerRefused, CustomField, FieldProblem

LIMIT = CustomField(name="limit", title="信用额度", kind="number")
BORN = CustomField(name="born", title="Born", kind="date")
RULES = Rules(region="US", custom={"limit": LIMIT, "born": BORN}, now=datetime(2026, 3, 1, tzinfo=UTC), by="1001")


def test_headings_in_english_and_chinese() -> None:
    assert list(guess(["Customer ID", "First Name", "Last-Name", "E-Mail", "Mobile", "Office Phone", "Zip Code", "???"], ()).values()) == [
        "reference", "first_name", "last_name", "email", "phone", "phone", "postal_code",
    ]  # fmt: skip
    assert list(guess(["客户编号", "姓名", "手机号码", "公司名称", "客户等级", "备注", "信用额度"], (LIMIT,)).values()) == [
        "reference", "name", "phone", "company", "tier", "notes", "field:limit",
    ]  # fmt: skip
    assert guess(["customer_id", "reference", "field:limit"], (LIMIT,)) == {1: "reference", 2: "field:limit"}
    assert guess(["name", "Full Name"], ()) == {0: "name"}, "one column is the name"
    assert guess(["公司", "电话"], ()) == {0: "name", 1: "phone"}, "companies alone are customers"


def test_mappings_that_cannot_be() -> None:
    columns = ("a", "b")
    for mapping, words, wrong in (
        ({2: "name"}, "no column 3", "no_column"),
        ({0: "nonsense"}, "no field", "no_such_field"),
        ({0: "name", 1: "name"}, "two columns", "two_columns"),
        ({0: "phone", 1: "phone"}, "name", "no_name_column"),
    ):
        found = mapping_problem(mapping, columns, ())
        assert found is not None
        assert (words in found.message, found.problem) == (True, wrong)
    assert mapping_problem({0: "phone", 1: "last_name"}, columns, ()) is None


def test_a_row_is_read() -> None:
    columns = ["First", "Last", "Mobile", "Office", "Tags", "Limit", "Born", "DNC", "Lang"]
    meant = (
        "first_name",
        "last_name",
        "phone",
        "phone",
        "tags",
        "field:limit",
        "field:born",
        "do_not_call",
        "language",
    )
    mapping = dict(enumerate(meant))
    cells = [
        "Ada",
        " King ",
        "555 010 0001; +44 20 7946 0000",
        "",
        "a, b；c",
        "$1,250.50",
        "2026年3月1日",
        "Yes",
        "Mandarin",
    ]
    said = read_row(cells, mapping, columns, RULES.custom)
    assert said == {
        "name": "Ada King",
        "phones": [{"raw": "555 010 0001", "label": "Mobile"}, {"raw": "+44 20 7946 0000", "label": "Mobile"}],
        "tags": ["a", "b", "c"],
        "fields": {"limit": "1250.50", "born": "2026-03-01"},
        "do_not_call": True,
        "language": "zh",
    }
    assert read_row(["伟", "李"], {0: "first_name", 1: "last_name"}, ["名", "姓"], {})["name"] == "李伟"
    assert read_row([], mapping, columns, RULES.custom) == {}


def test_a_row_adds_and_takes_nothing_away() -> None:
    had = {
        "tags": ["old"], "tier": "vip", "tier_source": "override", "consents": [{"channel": "email", "status": "granted"}],
        "addresses": [{"street": "1 Main St", "city": "Old"}],
    }  # fmt: skip
    out = onto(had, {"tags": ["new"], "tier": "gold", "do_not_call": True, "city": "New"}, import_id=7)
    assert out["tags"] == ["new", "old"]
    assert "tier" not in out, "a person chose it"
    assert [one["channel"] for one in out["consents"]] == ["email", "call"]
    assert out["addresses"] == [{"street": "1 Main St", "city": "New"}]
    assert "consents" not in onto(had, {"do_not_call": False}, import_id=7)


def test_a_problem_names_line_and_column() -> None:
    found = problem(
        12,
        FieldProblem(field="phones", message="'x' is no telephone number", problem="no_phone", values={"text": "x"}),
        {0: "name", 3: "phone"},
        ["Name", "", "", "Mobile"],
    )
    assert (found.line, found.column) == (12, "Mobile")
    assert "country code" in found.remedy
    assert (
        problem(2, FieldProblem(field="fields", message="limit: a number"), {1: "field:limit"}, ["a", "Limit"]).column
        == "Limit"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", " "), ("name", "x" * 201), ("name", "a\0b"), ("name", "a\nb"), ("name", "\ud800"), ("name", 5),
        ("email", "a b@c"), ("tier", "VIP!"), ("language", "english"), ("time_zone", "Mars/Olympus"), ("own_agent", "x"),
        ("phones", [{"raw": "call me"}]), ("phones", "123"), ("phones", [{"raw": "1" * 30}]), ("tags", ["a,b"]), ("company_id", True),
        ("fields", {"nothing": 1}), ("fields", {"limit": "much"}), ("fields", {"born": "yesterday"}), ("fields", {"limit": 1e300}),
        ("consents", [{"channel": "fax", "status": "granted"}]), ("consents", [{"channel": "call", "status": "granted", "at": "soon"}]),
        ("consents", [{"channel": "call", "status": "granted", "at": "0001-01-01T00:00:00+14:00"}]),
        ("addresses", [{"planet": "Mars"}]), ("kind", "robot"), ("version", 3),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(name: str, value: Any) -> None:
    with pytest.raises(CustomerRefused) as refused:
        checked({name: value}, RULES)
    assert [one.field for one in refused.value.problems] == [name]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "phones", "tags", "fields", "consents", "addresses", "email", "company_id", "notes"]),
        anything,
    )
)
def test_anything_is_kept_or_named(values: dict[str, Any]) -> None:
    try:
        kept = checked(values, RULES)
    except CustomerRefused as error:
        refused: CustomerRefused | None = error
    else:
        refused = None
        assert checked(kept, RULES) == kept, "what was kept is kept again as it is"
    assert refused is None or refused.problems


@given(st.text())
def test_text_is_kept_whole_or_refused(written: str) -> None:
    try:
        assert text(written, 8000, lines=True) == written.strip()
    except Unfit:
        assert "\0" in written


@given(st.text())
def test_no_cell_is_a_formula_and_none_is_changed(written: str) -> None:
    cell = harmless(written)
    assert not cell.startswith(("=", "@", "\t", "\r"))
    if cell.startswith(("+", "-")):
        assert cell[1:].replace(".", "").isdecimal()
    assert unquoted(cell) == written


@given(st.text(), st.sampled_from(["US", "CN", "GB", "IT", "ZZ"]))
def test_anything_typed_is_read(written: str, region: str) -> None:
    found = typed(written, region)
    assert found is None or (found.heads and all(tail.isdecimal() for tail in found.tails))


def test_digits_typed() -> None:
    assert typed("Zoë", "US") is None
    assert typed("12", "US") is None
    found = typed("(555) 010-0001", "US")
    assert found is not None
    assert "+15550100001" in found.heads
    assert "5550100001" in found.tails
    found = typed("020 7946", "GB")
    assert found is not None
    assert "+44207946" in found.heads
    assert typed("+44 20", "US").heads == ("+4420",)  # type: ignore[union-attr]


def test_words_of_a_search_are_only_words() -> None:
    assert tsquery(["o'b", "\\", "a & b"]) == "'o''b':* & '\\\\':* & 'a & b':*"


def test_own_fields() -> None:
    assert field_value(LIMIT, "12.50") == 12.5
    assert field_value(LIMIT, 3) == 3
    assert field_value(LIMIT, "") is None
    choice = CustomField(name="s", title="S", kind="choice", choices=("a", "b"))
    assert field_value(choice, "a") == "a"
    with pytest.raises(Unfit):
        field_value(choice, "c")


def test_two_customers_as_one() -> None:
    empty: dict[str, Any] = {
        "name": "", "reference": "", "tier": "regular", "tier_source": "import", "tier_reason": "", "language": "",
        "time_zone": "", "company": "", "company_id": None, "email": "", "own_agent": "", "notes": "", "fields": {},
        "addresses": [], "phones": [], "tags": [], "consents": [],
    }  # fmt: skip
    kept = {
        **empty,
        "name": "A",
        "notes": "one",
        "fields": {"x": 1},
        "consents": [{"channel": "call", "status": "granted"}],
    }
    gone = {
        **empty,
        "name": "B",
        "email": "b@x",
        "fields": {"x": 2, "y": 3},
        "consents": [{"channel": "call", "status": "refused"}],
    }
    one = joined(kept, gone, set())
    assert (one["name"], one["email"], one["notes"], one["fields"]) == ("A", "b@x", "one", {"x": 1, "y": 3})
    assert one["consents"][0]["status"] == "refused"
    assert joined(kept, gone, {"name", "fields"})["fields"] == {"x": 2, "y": 3}
