"""Tables out of files: CSV in the encodings and with the delimiters people have, and XLSX.

Blocking; from asyncio each step runs in a thread. Cells are text, as they would be read on the screen.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from cti.services.customer_file import CustomerRefused, FieldProblem

MOST_COLUMNS = 200
MOST_ROWS = 2_000_000
LONGEST_CELL = 30_000
LARGEST_UNPACKED = 1024**3
"""Bytes an XLSX may unpack to."""
_SAMPLE = 256 * 1024
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is read. `delimiter` and `encoding` are of CSV."""

    kind: str
    encoding: str = ""
    delimiter: str = ""

    def __str__(self) -> str:
        names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
        return (
            self.kind if self.kind == "xlsx" else f"csv, {self.encoding}, {names.get(self.delimiter, self.delimiter)}"
        )


def unreadable(problem: str, message: str, remedy: str, **values: str | int) -> CustomerRefused:
    """A file that cannot be read at all; `problem` and `values`: see `FieldProblem`."""
    wrong = FieldProblem(field="file", message=message, problem=problem, values=values)
    return CustomerRefused("unreadable_file", message, remedy=remedy, problems=[wrong])


def form_of(path: Path) -> Form:
    """What kind of file it is. Raises `CustomerRefused`."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
        whole = not file.read(1)
    if not sample:
        raise unreadable("empty_file", "the file is empty", "export the customers again")
    if sample.startswith(b"PK\x03\x04"):
        return Form(kind="xlsx")
    if sample.startswith((b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")):
        raise unreadable(
            "other_format", "this is no CSV and no XLSX file", "save it as CSV or XLSX (the old XLS is not read)"
        )
    encoding = encoding_of(sample, whole=whole)
    try:
        text = sample.decode(encoding, errors="strict" if whole else "ignore")
    except UnicodeDecodeError:
        raise unreadable("unknown_encoding", "the file's encoding is not known", "save it as UTF-8") from None
    return Form(kind="csv", encoding=encoding, delimiter=_delimiter(text))


def encoding_of(sample: bytes, *, whole: bool = True) -> str:
    """utf-8-sig, utf-16, utf-16-le, utf-16-be, gb18030 or cp1252."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if sample.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    even, odd = sample[0:4000:2].count(0), sample[1:4000:2].count(0)
    if even + odd > len(sample[:4000]) // 5:
        return "utf-16-le" if odd >= even else "utf-16-be"
    try:
        (sample if whole else sample[:-4]).decode("utf-8")
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if not whole and error.start > len(sample) - 8:
            return "utf-8-sig"
    # Chinese comes in pairs of high bytes; Western European letters stand alone between plain ones.
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", sample)]
    alone = sum(1 for run in runs if run == 1)
    return "cp1252" if alone * 3 > len(runs) else "gb18030"


def _delimiter(text: str) -> str:
    lines = text[:20_000].splitlines()[:30]
    best = (-1.0, ",")
    for sign in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=sign) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        same = sum(1 for width in widths if width == widths[0]) / len(widths)
        best = max(best, (same * 1000 + widths[0], sign))
    return best[1]


def rows_of(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    """Line numbers (the first is 1) and cells, without empty rows. Raises `CustomerRefused`."""
    found = _xlsx(path) if form.kind == "xlsx" else _csv(path, form)
    for count, (line, cells) in enumerate(found):
        if count > MOST_ROWS:
            raise unreadable(
                "too_many_rows", f"the file has more than {MOST_ROWS} rows", "hand it in in parts", most=MOST_ROWS
            )
        if len(cells) > MOST_COLUMNS and any(cells[MOST_COLUMNS:]):
            raise unreadable(
                "too_many_columns",
                f"line {line} has more than {MOST_COLUMNS} columns",
                "leave out what is not needed",
                line=line,
                most=MOST_COLUMNS,
            )
        cut = [cell.replace("\0", "\u2400") for cell in cells[:MOST_COLUMNS]]
        if any(len(cell) > LONGEST_CELL for cell in cut):
            raise unreadable(
                "cell_too_long",
                f"line {line} has a cell of more than {LONGEST_CELL} signs",
                "see whether a quote is missing",
                line=line,
                most=LONGEST_CELL,
            )
        if any(cell.strip() for cell in cut):
            yield line, cut


def _csv(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding=form.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=form.delimiter)
        line = 1
        try:
            for row in reader:
                yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise unreadable(
                "bad_line", f"line {line}: {error}", "see whether a quote is missing there", line=line
            ) from None
        except UnicodeDecodeError as error:
            raise unreadable(
                "bad_sign",
                f"after line {line}: a sign that is not {form.encoding} (byte {error.object[error.start]:#x})",
                "save the file as UTF-8 and hand it in again",
                line=line,
            ) from None


def _xlsx(path: Path) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > LARGEST_UNPACKED:
                raise unreadable(
                    "unpacks_too_large", "the file unpacks to more than a gigabyte", "hand it in in parts, or as CSV"
                )
        book = load_workbook(path, read_only=True, data_only=True)
    except CustomerRefused:
        raise
    except Exception as error:
        raise unreadable(
            "damaged_file", f"this is no XLSX file ({type(error).__name__})", "save it as XLSX again, or as CSV"
        ) from error
    try:
        if not book.worksheets:
            raise unreadable("no_sheet", "the file has no sheet", "save it with the customers on the first sheet")
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what the file says of its own size is often wrong
        for line, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield line, [_told(cell) for cell in row]
    except CustomerRefused:
        raise
    except Exception as error:
        raise unreadable(
            "damaged_file", f"this XLSX file is damaged ({type(error).__name__})", "save it again, or as CSV"
        ) from error
    finally:
        book.close()


def _told(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 10**15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return (cell.date() if cell.time() == time() else cell).isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)
