"""Sheets as files: CSV, XLSX and PDF. Blocking; from asyncio each is written in a thread.

No cell can be taken for a formula: what begins like one stands behind an apostrophe in CSV, and is text in XLSX.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any
from xml.sax.saxutils import escape

from cti.report_office.sheet import Column, Sheet, Value, shown
from cti.report_office.words import word
from cti.services.report_desk import FileFormat, ReportFile

MOST_PDF_ROWS = 1000
"""More are on no desk; CSV and XLSX have them."""
MOST_BARS = 62
_MEDIA = {
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.PDF: "application/pdf",
}
_STYLES = {"count": "#,##0", "seconds": "[h]:mm:ss", "share": "0.0%", "score": "0.00", "points": "0"}
_DAY = 86_400.0
_CJK = "STSong-Light"
_LATIN = "Helvetica"


def file_of(sheet: Sheet, format: FileFormat, name: str) -> ReportFile:
    """The sheet as a file; `name` without an ending."""
    write = {FileFormat.CSV: csv_of, FileFormat.XLSX: xlsx_of, FileFormat.PDF: pdf_of}[format]
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "report"
    return ReportFile(name=f"{safe[:80]}.{format.value}", media=_MEDIA[format], content=write(sheet))


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula. A dash alone, as for "nothing", stays."""
    bare = text.lstrip(" \u00a0\ufeff")
    return (
        f"'{text}"
        if bare[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠") and bare != "-"
        else text
    )


def csv_of(sheet: Sheet) -> bytes:
    """CSV in UTF-8 with a mark, so that spreadsheets read it. Shares are 0-1 and times seconds; the notes stand below."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([harmless(_heading(column, sheet.language)) for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow([_plain(value, column.unit) for value, column in zip(row, sheet.columns, strict=True)])
    writer.writerow([])
    writer.writerow([harmless(sheet.title)])
    writer.writerows([harmless(one) for one in note] for note in sheet.notes)
    writer.writerow([])
    writer.writerows([harmless(one) for one in definition] for definition in sheet.definitions)
    return ("\ufeff" + out.getvalue()).encode()


def _heading(column: Column, language: str) -> str:
    return f"{column.title} ({word(language, 'seconds')})" if column.unit == "seconds" else column.title


def _plain(value: Value, unit: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    digits = {"share": 6, "seconds": 3, "score": 4}.get(unit, 3)
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else str(value)
    return "0" if text in ("-0", "") else text


def xlsx_of(sheet: Sheet) -> bytes:
    """XLSX: figures are numbers with a format; a second sheet has the notes and definitions."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    figures = book.create_sheet(_sheet_name(sheet.title))
    figures.freeze_panes = "B3"
    for number, column in enumerate(sheet.columns):
        letter = _letter(number)
        figures.column_dimensions[letter].width = max(12, min(34, len(column.title) * 1.3 + 4))
    bold = Font(bold=True)
    figures.append([_text(figures, column.title, bold) for column in sheet.columns])
    for index, row in enumerate(sheet.rows):
        font = bold if index == 0 else None
        figures.append(
            [_cell(figures, value, column.unit, font) for value, column in zip(row, sheet.columns, strict=True)]
        )
    about = book.create_sheet(word(sheet.language, "definitions"))
    about.column_dimensions["A"].width = 30
    about.column_dimensions["B"].width = 90
    about.column_dimensions["C"].width = 50
    about.append([_text(about, sheet.title, bold)])
    for note in sheet.notes:
        about.append([_text(about, one) for one in note])
    about.append([])
    about.append([_text(about, word(sheet.language, one), bold) for one in ("figure", "definition", "formula")])
    for definition in sheet.definitions:
        about.append([_text(about, one) for one in definition])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _letter(number: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(number + 1))


def _sheet_name(title: str) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in title)
    return re.sub(r"[\[\]:*?/\\']", " ", plain)[:31].strip() or "Report"


def _text(sheet: Any, text: str, font: Any = None) -> Any:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell = WriteOnlyCell(sheet, value="")
    cell.value = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)[:32_767]
    cell.data_type = "s"  # text, whatever it begins with
    if font is not None:
        cell.font = font
    return cell


def _cell(sheet: Any, value: Value, unit: str, font: Any) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if value is None or isinstance(value, str):
        return _text(sheet, value or "", font)
    cell = WriteOnlyCell(sheet, value=value / _DAY if unit == "seconds" else value)
    cell.number_format = _STYLES.get(unit, "General")
    if font is not None:
        cell.font = font
    return cell


def pdf_of(sheet: Sheet) -> bytes:
    """PDF on A4 across: title, notes, a picture, the table with its headings on every page, the definitions."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

    pdfmetrics.registerFont(UnicodeCIDFont(_CJK))
    soft, ink, line = colors.HexColor("#4b5560"), colors.HexColor("#14191f"), colors.HexColor("#dde1e6")

    def words(text: str, size: float, *, colour: Any = ink, right: bool = False, bold: bool = False) -> Any:
        latin = f"{_LATIN}-Bold" if bold else _LATIN
        style = ParagraphStyle(
            "cell", fontName=latin if _is_latin(text) else _CJK, fontSize=size, leading=size * 1.3, textColor=colour,
            alignment=2 if right else 0, wordWrap="" if _is_latin(text) else "CJK",
        )  # fmt: skip
        return Paragraph(escape(_printable(text)), style)

    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=landscape(A4), leftMargin=14 * mm, rightMargin=14 * mm, topMargin=12 * mm, bottomMargin=14 * mm,
        title=sheet.title, author="cti-server", invariant=0,
    )  # fmt: skip
    story: list[Any] = [words(sheet.title, 16, bold=True), Spacer(1, 2 * mm)]
    story.append(words("   ·   ".join(f"{name}: {value}" for name, value in sheet.notes), 8.5, colour=soft))
    story.append(Spacer(1, 4 * mm))
    picture = _bars(sheet, document.width)
    if picture is not None:
        story += [picture, Spacer(1, 4 * mm)]
    size = 8.5 if len(sheet.columns) <= 10 else 7.0 if len(sheet.columns) <= 16 else 5.5
    rows = sheet.rows[:MOST_PDF_ROWS]
    texts = sum(column.unit == "text" for column in sheet.columns)
    narrow = (document.width * (0.8 if texts == 1 else 0.66)) / max(1, len(sheet.columns) - texts)
    narrow = min(narrow, 32 * mm)
    wide = (document.width - narrow * (len(sheet.columns) - texts)) / max(1, texts)
    # Cells are bare texts, which are drawn ten times as fast as paragraphs; those too long for a line are the exception.
    cells: list[list[Any]] = [
        [words(column.title, size, colour=soft, right=column.unit != "text", bold=True) for column in sheet.columns]
    ]
    styles: list[tuple[Any, ...]] = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, soft),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, line),
        ("BACKGROUND", (0, 1), (-1, 1), colors.HexColor("#f6f7f9")),
        ("FONT", (0, 1), (-1, -1), _LATIN, size, size * 1.3),
        ("FONT", (0, 1), (-1, 1), f"{_LATIN}-Bold", size, size * 1.3),
        ("TEXTCOLOR", (0, 1), (-1, -1), ink),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    for number, column in enumerate(sheet.columns):
        if column.unit != "text":
            styles.append(("ALIGN", (number, 1), (number, -1), "RIGHT"))
    for index, row in enumerate(rows, start=1):
        drawn: list[Any] = []
        for number, (value, column) in enumerate(zip(row, sheet.columns, strict=True)):
            text = _printable(shown(value, column.unit))
            if not _is_latin(text):
                styles.append(("FONT", (number, index), (number, index), _CJK, size, size * 1.3))
            long = (
                len(text) * size * (0.55 if _is_latin(text) else 1.0) > (wide if column.unit == "text" else narrow) - 12
            )
            drawn.append(words(text, size, right=column.unit != "text", bold=index == 1) if long else text)
        cells.append(drawn)
    table = LongTable(
        cells, colWidths=[wide if column.unit == "text" else narrow for column in sheet.columns], repeatRows=1
    )
    table.setStyle(TableStyle(styles))
    story.append(table)
    if len(sheet.rows) > len(rows):
        story.append(words(word(sheet.language, "cut", shown=len(rows), rows=len(sheet.rows)), 8.5, colour=soft))
    story += [Spacer(1, 5 * mm), words(word(sheet.language, "definitions"), 10, bold=True), Spacer(1, 1 * mm)]
    for title, text, formula in sheet.definitions:
        story.append(words(f"{title}: {text} = {formula}", 7.5, colour=soft))

    def foot(canvas: Any, page: Any) -> None:
        canvas.saveState()
        canvas.setFillColor(soft)
        text = word(sheet.language, "page", page=canvas.getPageNumber())
        canvas.setFont(_LATIN if _is_latin(text) else _CJK, 8)
        canvas.drawRightString(document.pagesize[0] - 14 * mm, 8 * mm, text)
        canvas.restoreState()

    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _bars(sheet: Sheet, width: float) -> Any:
    """The first count over the first division as bars, where a picture has something to tell."""
    from reportlab.graphics.charts.barcharts import VerticalBarChart
    from reportlab.graphics.shapes import Drawing
    from reportlab.lib import colors

    number = next((n for n, column in enumerate(sheet.columns) if column.unit == "count"), None)
    rows = sheet.rows[1:]
    texts = sum(column.unit == "text" for column in sheet.columns)
    if number is None or texts != 1 or not 2 <= len(rows) <= MOST_BARS:
        return None
    values = [float(row[number]) if isinstance(row[number], int | float) else 0.0 for row in rows]  # type: ignore[arg-type]
    if not any(values):
        return None
    names = [_brief(str(row[0])) for row in rows]
    drawing = Drawing(width, 130)
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 34, 24, width - 44, 98
    chart.data = [values]
    chart.bars[0].fillColor = colors.HexColor("#1b57c8")
    chart.bars[0].strokeColor = None
    chart.valueAxis.valueMin = 0
    chart.valueAxis.labels.fontSize = 7
    chart.valueAxis.strokeColor = None
    chart.valueAxis.visibleGrid = True
    chart.valueAxis.gridStrokeColor = colors.HexColor("#dde1e6")
    step = -(-len(names) // 14)
    chart.categoryAxis.categoryNames = [name if index % step == 0 else "" for index, name in enumerate(names)]
    chart.categoryAxis.labels.fontName = _LATIN if all(map(_is_latin, names)) else _CJK
    chart.categoryAxis.labels.fontSize = 7
    chart.categoryAxis.visibleTicks = False
    drawing.add(chart)
    return drawing


def _brief(name: str) -> str:
    if found := re.search(r"(\d\d:\d\d)$", name):
        return found[1]
    if found := re.match(r"\d{4}-(\d\d-\d\d)", name):
        return found[1]
    return _printable(name if len(name) <= 14 else f"{name[:13]}…")


def _is_latin(text: str) -> bool:
    return all(ord(sign) < 0x250 or sign in "–—…“”‘’·•€" for sign in text)


def _printable(text: str) -> str:
    """Without control signs and without letters that the fonts have not: a question mark is better than a black box."""
    return "".join(sign if sign.isprintable() and ord(sign) < 0x10000 else "?" for sign in text)
