"""Columns of a file and fields of a customer: what a heading means, and what a row says. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cti.services.customer_file import CustomField, FieldProblem, RowProblem

PARTS = ("street", "city", "region", "postal_code", "country")
FIELDS = (
    "reference", "name", "first_name", "last_name", "kind", "company", "phone", "email", *PARTS, "language", "time_zone",
    "tier", "own_agent", "notes", "tags", "do_not_call",
)  # fmt: skip
"""What a column may be; besides, `field:<name>` for each of the centre's own fields."""
OWN = "field:"

_HEADINGS = {
    "reference": "reference|ref|id|customer id|customer no|customer number|customer code|external id|account|account number|"
    "crm id|客户编号|客户号|编号|客户id|客户代码|外部编号|会员号",
    "name": "name|full name|customer|customer name|contact|contact name|display name|姓名|名称|客户|客户名称|客户姓名|联系人|名字",
    "first_name": "first name|given name|forename|firstname|名",
    "last_name": "last name|family name|surname|lastname|姓|姓氏",
    "kind": "kind|type|customer type|类型|客户类型|类别",
    "company": "company|company name|organisation|organization|employer|公司|公司名称|单位|企业|企业名称",
    "phone": "phone|phones|telephone|tel|phone number|mobile|mobile phone|cell|cell phone|office phone|work phone|home phone|"
    "telephone number|phone 1|phone 2|phone 3|phone 4|phone 5|mobile number|电话|电话号码|手机|手机号|手机号码|联系电话|"
    "座机|办公电话|固定电话|移动电话|电话1|电话2|电话3",
    "email": "email|e mail|mail|email address|e mail address|邮箱|电子邮件|电子邮箱|邮件",
    "street": "street|address|street address|address 1|address line 1|地址|街道|详细地址|通讯地址",
    "city": "city|town|城市|市",
    "region": "region|state|province|county|省|省份|州",
    "postal_code": "postal code|postcode|zip|zip code|post code|邮编|邮政编码",
    "country": "country|country code|国家|国家地区",
    "language": "language|lang|语言|语种",
    "time_zone": "time zone|timezone|时区",
    "tier": "tier|level|segment|class|grade|等级|级别|客户等级|客户级别|会员等级",
    "own_agent": "own agent|agent|owner|account manager|客户经理|专属客服|专属坐席|坐席",
    "notes": "notes|note|remark|remarks|comment|comments|备注|说明",
    "tags": "tags|tag|labels|label|标签",
    "do_not_call": "do not call|dnc|no calls|opt out|请勿致电|勿扰|谢绝来电|免打扰",
}
_MEANING = {heading: name for name, headings in _HEADINGS.items() for heading in headings.split("|")}
_KINDS = {
    "person": "person", "individual": "person", "private": "person", "个人": "person", "p": "person",
    "company": "company", "organisation": "company", "organization": "company", "business": "company", "b2b": "company",
    "公司": "company", "企业": "company", "单位": "company",
}  # fmt: skip
_LANGUAGES = {
    "english": "en", "en": "en", "英语": "en", "英文": "en", "chinese": "zh", "mandarin": "zh", "zh": "zh", "cn": "zh",
    "中文": "zh", "汉语": "zh", "普通话": "zh", "zh-cn": "zh", "en-us": "en", "en-gb": "en",
}  # fmt: skip
_YES = {"yes", "y", "true", "1", "x", "是", "对", "√", "refused"}
_NO = {"no", "n", "false", "0", "否", "", "granted"}


def folded(heading: str) -> str:
    """A heading as it is compared."""
    return re.sub(r"[\s_\-./:()（）：]+", " ", heading.lower().replace("e-mail", "email")).strip()


def guess(columns: Sequence[str], custom: Sequence[CustomField]) -> dict[int, str]:
    """What the columns seem to be. Only numbers may come from several columns."""
    own = {folded(text): OWN + one.name for one in custom for text in (one.name, one.title)}
    out: dict[int, str] = {}
    # A field's very name goes before other words for it: "customer_id" beside "reference" is not the reference.
    plain = {folded(name): name for name in FIELDS} | {folded(OWN + one.name): OWN + one.name for one in custom}
    for known in (plain, own | _MEANING):
        for number, heading in enumerate(columns):
            meant = known.get(folded(heading))
            if meant is not None and number not in out and (meant == "phone" or meant not in out.values()):
                out[number] = meant
    if "name" not in out.values() and "last_name" not in out.values() and "company" in out.values():
        out.update((at, "name") for at, meant in tuple(out.items()) if meant == "company")
    return dict(sorted(out.items()))


def mapping_problem(
    mapping: Mapping[int, str], columns: Sequence[str], custom: Sequence[CustomField]
) -> FieldProblem | None:
    """Why this mapping cannot be; None when it can."""
    known = {*FIELDS, *(OWN + one.name for one in custom)}
    for number, meant in mapping.items():
        if not 0 <= number < len(columns):
            message = f"the file has no column {number + 1}"
            return FieldProblem(field="mapping", message=message, problem="no_column", values={"column": number + 1})
        if meant not in known:
            message = f"a customer has no field {meant[:60]!r}"
            return FieldProblem(field="mapping", message=message, problem="no_such_field", values={"field": meant[:60]})
    meanings = [meant for meant in mapping.values() if meant != "phone"]
    twice = next((meant for meant in meanings if meanings.count(meant) > 1), None)
    if twice:
        message = f"{twice} comes from two columns"
        return FieldProblem(field="mapping", message=message, problem="two_columns", values={"field": twice})
    if not {"name", "first_name", "last_name"} & set(meanings):
        return FieldProblem(field="mapping", message="no column is the name", problem="no_name_column")
    return None


def read_row(
    cells: Sequence[str], mapping: Mapping[int, str], columns: Sequence[str], custom: Mapping[str, CustomField]
) -> dict[str, Any]:
    """What a row says, in the words of `checking`; empty cells say nothing. What cannot be read stays as it is, to be refused there.

    `do_not_call` and the parts of the address are not yet in their places: see `onto`.
    """
    out: dict[str, Any] = {}
    phones: list[dict[str, str]] = []
    several = sum(1 for meant in mapping.values() if meant == "phone") > 1
    for number, meant in sorted(mapping.items()):
        cell = unquoted(cells[number].strip()) if number < len(cells) else ""
        if not cell:
            continue
        if meant == "phone":
            label = re.sub(r"^(phone|电话)\s*\d*$", "", columns[number].strip(), flags=re.IGNORECASE) if several else ""
            phones += [{"raw": raw.strip(), "label": label[:40]} for raw in re.split(r"[;|\n；]", cell) if raw.strip()]
        elif meant == "tags":
            out["tags"] = [tag.strip() for tag in re.split(r"[,;|，；、]", cell) if tag.strip()]
        elif meant == "kind":
            out["kind"] = _KINDS.get(cell.lower(), cell)
        elif meant == "language":
            out["language"] = _LANGUAGES.get(cell.lower(), cell)
        elif meant == "tier":
            out["tier"] = cell.lower()
        elif meant == "do_not_call":
            out["do_not_call"] = True if cell.lower() in _YES else False if cell.lower() in _NO else cell
        elif meant.startswith(OWN):
            field = custom[meant.removeprefix(OWN)]
            out.setdefault("fields", {})[field.name] = _own(field, cell)
        elif meant in ("first_name", "last_name"):
            out[meant] = cell
        else:
            out[meant] = re.sub(r"[\r\n]+", " ", cell) if meant not in ("notes", "street") else cell
    if phones:
        out["phones"] = phones
    first, last = out.pop("first_name", ""), out.pop("last_name", "")
    if (first or last) and "name" not in out:
        chinese = bool(re.search(r"[\u3400-\u9fff]", first + last))
        out["name"] = f"{last}{first}" if chinese else f"{first} {last}".strip()
    return out


def _own(field: CustomField, cell: str) -> str:
    if field.kind == "number":
        return re.sub(r"(?<=\d)[,\s'](?=\d{3}(\D|$))", "", re.sub(r"^[^\d+-]{0,3}\s*(?=[\d+-])", "", cell))
    if field.kind == "date":
        for form in ("%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%d.%m.%Y", "%Y%m%d", "%Y-%m-%dT%H:%M:%S"):
            try:
                return datetime.strptime(cell, form).date().isoformat()  # noqa: DTZ007 - a date has no zone
            except ValueError:
                continue
    return cell


def onto(had: Mapping[str, Any] | None, said: Mapping[str, Any], *, import_id: int) -> dict[str, Any]:
    """What a row says, onto the customer as it is (None: new). Numbers and tags are added, never taken away.

    A tier that a person chose stays; a "no" to do-not-call grants nothing.
    """
    out = {name: value for name, value in said.items() if name not in (*PARTS, "do_not_call")}
    address = {name: said[name] for name in PARTS if name in said}
    before = had or {}
    if address:
        first, *others = before.get("addresses") or [{}]
        out["addresses"] = [{**first, **address}, *others]
    if said.get("do_not_call") is True:
        others = list(before.get("consents", ()))
        if not any(one["channel"] == "call" and one["status"] == "refused" for one in others):
            out["consents"] = [
                *(one for one in others if one["channel"] != "call"),
                {"channel": "call", "status": "refused", "how": f"import {import_id}"},
            ]
    if had is not None:
        if "tags" in said:
            out["tags"] = sorted({*had["tags"], *said["tags"]})
        if had["tier_source"] == "override":
            out.pop("tier", None)
    return out


def unquoted(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from taking text for a formula (see `exports.harmless`)."""
    return cell[1:] if re.match(r"'['=+\-@\t\r]", cell) else cell


_REMEDIES = {
    "phones": "write a telephone number, with + and country code where it is not from here",
    "email": "write it as name@example.com, or empty the cell",
    "tier": "write the name of a tier, as vip or regular",
    "kind": "write person or company",
    "language": "write a language's code, as en or zh",
    "time_zone": "write a zone's name, as Asia/Shanghai",
    "name": "fill the name in",
    "own_agent": "write the agent's extension",
    "do_not_call": "write yes or no",
    "reference": "give each customer a reference of its own",
}


def problem(line: int, wrong: FieldProblem, mapping: Mapping[int, str], columns: Sequence[str]) -> RowProblem:
    """A problem with a field as a problem with the column it came from."""
    wanted = {"phones": ("phone",), "addresses": PARTS, "name": ("name", "last_name", "first_name")}.get(
        wrong.field, (wrong.field,)
    )
    if wrong.field == "fields":
        wanted = (OWN + wrong.message.partition(":")[0],)
    heading = next((columns[at] for at, meant in sorted(mapping.items()) if meant in wanted), wrong.field)
    return RowProblem(
        line=line,
        column=heading,
        message=wrong.message,
        remedy=_REMEDIES.get(wrong.field, "correct the cell and hand the row in again"),
        field=wrong.field,
        problem=wrong.problem,
        values=dict(wrong.values),
    )
