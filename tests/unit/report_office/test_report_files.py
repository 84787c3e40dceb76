"""Reports as files: the figures in them, what is said about them, and that no cell is ever a formula."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from cti.report_office.files import csv_of, file_of, harmless, pdf_of, xlsx_of
from cti.report_office.request import query_of, read_search
from cti.report_office.sheet import Column, Sheet, sheet_of
from cti.services.report_desk import FileFormat
from tests.support.fake_reports import FakeReports
from tests.support.report_house import NOW, report_centre

SEARCH = "view=queues&period=last_week&by=queue&metrics=offered,service_level,asa,csat,nps&compare=week_before&direction=inbound"


@pytest.fixture(scope="module")
def reports() -> FakeReports:
    return FakeReports(report_centre(), NOW, days=16, busy=6.0)


def sheet(reports: FakeReports, language: str = "en", search: str = SEARCH) -> Sheet:
    request = read_search(search)
    report = asyncio.run(reports.query(query_of(request, NOW, reports.centre.time_zone)))
    return sheet_of(report, request, name="", centre=reports.centre, language=language, now=NOW)


def evil(text: str) -> Sheet:
    return Sheet(
        title=text, language="en", notes=((text, text),), columns=(Column(title=text, unit="text"), Column(title=text, unit="count")),
        rows=((text, 1.0), (text, -2.0)), definitions=((text, text, text),),
    )  # fmt: skip


def test_a_sheet_says_of_what_it_is(reports: FakeReports) -> None:
    made = sheet(reports)
    notes = dict(made.notes)
    assert notes["Period"] == "2026-02-23 Mon – 2026-03-01 Sun"
    assert notes["Time zone"] == "America/New_York"
    assert notes["Only: Direction"] == "inbound"
    assert notes["Compared with"] == "the week before"
    assert notes["Definitions, version"]
    assert made.rows[0][0] == "All"
    assert {row[0] for row in made.rows[1:]} == {"Support", "Sales", "VIP line"}
    offered = [row[1] for row in made.rows]
    assert offered[0] == sum(offered[1:])  # type: ignore[arg-type]
    assert {row[0] for row in sheet(reports, "zh").rows[1:]} == {"技术支持", "销售", "贵宾专线"}


def test_csv_has_the_figures_and_below_them_what_they_are(reports: FakeReports) -> None:
    made = sheet(reports)
    content = csv_of(made)
    assert content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert lines[0][:3] == ["Queue", "Offered", "Offered (before)"]
    assert "Average speed of answer (seconds)" in lines[0]
    assert int(lines[1][1]) == made.rows[0][1]
    assert float(lines[1][3]) == pytest.approx(made.rows[0][3], abs=1e-6)
    assert ["Time zone", "America/New_York"] in lines
    assert any(line and "(v1)" in line[-2] for line in lines if len(line) == 3)


def test_xlsx_has_numbers_with_formats(reports: FakeReports) -> None:
    made = sheet(reports)
    book = load_workbook(io.BytesIO(xlsx_of(made)))
    figures, about = book.worksheets
    head = [cell.value for cell in figures[1]]
    row = dict(zip(head, figures[2], strict=True))
    assert row["Offered"].value == made.rows[0][1]
    assert row["Service level"].number_format == "0.0%"
    assert row["Average speed of answer"].number_format == "[h]:mm:ss"
    asa = row["Average speed of answer"].value
    seconds = asa.total_seconds() if hasattr(asa, "total_seconds") else asa * 86_400
    assert seconds == pytest.approx(made.rows[0][head.index("Average speed of answer")], abs=1)
    told = [[cell.value for cell in line] for line in about.iter_rows()]
    assert any(line[:2] == ["Time zone", "America/New_York"] for line in told)


def pdf_text(content: bytes) -> bytes:
    """What the streams of a PDF say, packed or not."""
    import base64

    out = b""
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        data = found[1].strip()
        if data.endswith(b"~>"):
            data = base64.a85decode(data, adobe=False) if not data.endswith(b"~>") else base64.a85decode(data[:-2])
        try:
            out += zlib.decompress(data)
        except zlib.error:
            out += data
    return out


def test_pdf_is_in_both_languages_with_a_font_for_each(reports: FakeReports) -> None:
    english, chinese = (pdf_of(sheet(reports, language)) for language in ("en", "zh"))
    assert english.startswith(b"%PDF-")
    assert b"Harbour Services" in pdf_text(english)
    assert b"America/New_York" in pdf_text(english)
    assert b"STSong-Light" in chinese
    # The font's own encoding is two bytes a sign.
    assert "技术支持".encode("utf-16-be") in pdf_text(chinese).replace(b"\\", b"") or b"UniGB" in chinese


def test_a_long_report_is_cut_in_pdf_and_says_so(reports: FakeReports) -> None:
    made = sheet(reports)
    long = dataclasses.replace(made, rows=(made.rows[0], *(made.rows[1] for _ in range(1100))))
    assert b"1000 of 1101" in pdf_text(pdf_of(long))


FORMULAS = [
    "=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=cmd", "＝1+1", "＠x", "-", "=HYPERLINK(\"http://x\")", "+15551234",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    for line in csv.reader(io.StringIO(csv_of(evil(text)).decode("utf-8-sig"))):
        for cell in line:
            assert not cell.lstrip(" \u00a0").startswith(("=", "+", "@", "\t", "\r", "\n", "＝", "＠")), line
            assert not cell.startswith("-") or cell == "-" or re.fullmatch(r"-[\d.]+", cell), line


@pytest.mark.parametrize("text", [*FORMULAS, "\x00\x07evil", "a" * 40_000])
def test_no_cell_of_an_xlsx_is_a_formula(text: str) -> None:
    book = load_workbook(io.BytesIO(xlsx_of(evil(text))))
    for page in book.worksheets:
        for row in page.iter_rows():
            assert all(cell.data_type in ("s", "n", "inlineStr") for cell in row)


@given(st.text(max_size=20))
def test_whatever_is_written_is_harmless(text: str) -> None:
    told = harmless(text)
    assert told in (text, f"'{text}")
    assert told == "-" or told.lstrip(" \u00a0\ufeff")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.mark.parametrize("format", list(FileFormat))
def test_names_of_files_are_safe(format: FileFormat, reports: FakeReports) -> None:
    file = file_of(sheet(reports), format, '../../etc/"pass\nwd 报表')
    assert re.fullmatch(r"[A-Za-z0-9._-]+", file.name)
    assert file.name.endswith(format.value)
    assert ".." not in file.name.removesuffix(format.value)


@pytest.mark.parametrize("format", list(FileFormat))
@pytest.mark.parametrize("text", ["<b>&amp;</b>", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "周敏 <script>", "", "عربى", "a\u202eb"])
def test_odd_texts_make_files(format: FileFormat, text: str) -> None:
    assert file_of(evil(text), format, "x").content
