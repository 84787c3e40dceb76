"""`cti customers` on a real database: in, found, out, forgotten."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cti.cli import app
from tests.support.postgres import ThrowawayPostgres, postgres_server  # noqa: F401 - a fixture

pytestmark = [pytest.mark.real, pytest.mark.beside]


def test_a_file_in_and_out_and_somebody_forgotten(
    postgres_server: ThrowawayPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("structlog.configure", lambda **how: None)  # a test process has more than one command in it
    monkeypatch.setenv("CTI_DATABASE__URL", asyncio.run(postgres_server.make_database()))

    def cti(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["customers", *words, "--data", str(tmp_path / "data")])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout

    file = tmp_path / "in.csv"
    file.write_text("Client,Klient-Nr,Tel\nAda King,K1,(555) 010-0001\n,K2,x\n", encoding="utf-16")
    code, told = cti("import", str(file), "--map", "Klient-Nr=reference", "--map", "Client=name", "--dry-run")
    assert code == 0
    assert "line 2: add" in told
    code, told = cti("import", str(file), "--map", "Klient-Nr=reference", "--map", "Client=name", "--by", "me")
    assert code == 1
    assert "line 3, Client: a customer needs a name" in told
    assert "1 added, 0 changed, 0 as they were, 1 not taken" in told
    code, told = cti("search", "010-0001")
    assert code == 0
    number, name, *_ = told.split("\t")
    assert name == "Ada King"
    assert cti("search", "nobody")[0] == 1
    code, _ = cti("export", str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as out:
        (row,) = csv.DictReader(out)
    assert (row["reference"], row["phone"]) == ("K1", "+15550100001")
    told = cti("everything", number)[1]
    assert json.loads(told)["history"][0]["by"] == "import 2"
    code, told = cti("forget", number, "--yes")
    assert code == 0
    assert "1 customers" in told
    assert cti("search", "ada")[0] == 1
