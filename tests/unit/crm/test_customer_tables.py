"""Files of customers: encodings, delimiters, workbooks, and what cannot be read."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from cti.crm.tables import form_of, rows_of
from cti.services.customer_file import CustomerRefused

ENGLISH = 'Reference,Name,Phone\r\nR1,Zoë Müller,+15550100001\r\nR2,"O\'Brien, Jack",+15550100002\r\n'
CHINESE = "编号;姓名;电话\nR1;李伟;13800138000\n\nR2;王芳,女;13900139000\n"


def read(path: Path, content: bytes) -> tuple[str, list[tuple[int, list[str]]]]:
    path.write_bytes(content)
    form = form_of(path)
    return str(form), list(rows_of(path, form))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_english(tmp_path: Path, encoding: str) -> None:
    told, rows = read(tmp_path / "f", ENGLISH.encode(encoding))
    assert "comma" in told
    assert rows[1:] == [(2, ["R1", "Zoë Müller", "+15550100001"]), (3, ["R2", "O'Brien, Jack", "+15550100002"])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_chinese(tmp_path: Path, encoding: str) -> None:
    told, rows = read(tmp_path / "f", CHINESE.encode(encoding))
    assert "semicolon" in told
    assert rows == [
        (1, ["编号", "姓名", "电话"]), (2, ["R1", "李伟", "13800138000"]), (4, ["R2", "王芳,女", "13900139000"]),
    ]  # fmt: skip


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters_and_lines_in_cells(tmp_path: Path, sign: str) -> None:
    _, rows = read(
        tmp_path / "f", sign.join(["name", "notes"]).encode() + b"\n" + f'A{sign}"one\ntwo"\nB{sign}x\n'.encode()
    )
    assert rows == [(1, ["name", "notes"]), (2, ["A", "one\ntwo"]), (4, ["B", "x"])]


def test_a_large_file_whose_sample_ends_within_a_sign(tmp_path: Path) -> None:
    for shift in range(3):
        _, rows = read(tmp_path / "f", ("name\n" + "x" * shift + "李\n" * 100_000).encode())
        assert len(rows) == 100_001


def test_workbooks(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append(["编号", "Name", "Phone", "Born", "Yes"])
    sheet.append([1001, "李伟", 13800138000, date(2026, 3, 1), True])
    sheet.append([])
    sheet.append(["R2", "=1+1", 1.5, None, False])
    book.save(tmp_path / "f.xlsx")
    form = form_of(tmp_path / "f.xlsx")
    assert list(rows_of(tmp_path / "f.xlsx", form))[1] == (2, ["1001", "李伟", "13800138000", "2026-03-01", "yes"])


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no workbook", b"\xd0\xcf\x11\xe0old", b"%PDF-1.7", b'name\n"' + b"x" * 200_000]
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CustomerRefused) as refused:
        read(tmp_path / "f", content)
    assert refused.value.remedy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        _, rows = read(tmp_path / "f", content)
    except CustomerRefused:
        return
    for _, cells in rows:
        assert all("\0" not in cell for cell in cells)
