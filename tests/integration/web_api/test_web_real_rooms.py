"""Operations whose rooms are not behind the site of `test_web_routes`: each does what it says with its real room behind it, for
the least of the roles that may, with an answer of its schema; whoever may not changes nothing."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import json
import re
from typing import Any

import aiohttp
import pytest
from pydantic import TypeAdapter

from cti.ivr.parser import version_of
from cti.prompts.wave_file import write_wave
from cti.web.app import OPERATIONS
from tests.integration.test_api_schema import Api, api  # noqa: F401 - a fixture
from tests.integration.web_api.more_expected import ELSEWHERE
from tests.integration.web_api.test_web_flow_versions import text
from tests.support.customers import customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.unit.prompts.prompt_library_test import tone

pytestmark = [pytest.mark.real, pytest.mark.beside]

BY_NAME = {operation.name: operation for operation in OPERATIONS}
OURS = {name for name in ELSEWHERE if name.startswith(("customer", "flow", "prompt"))}
LEAST = ("1001", "supervisor", "admin")


class Walk:
    """Asks one operation after another; `seen` is what was asked with success."""

    def __init__(self, session: aiohttp.ClientSession, api: Api) -> None:
        self._session, self._api = session, api
        self.seen: set[str] = set()

    async def ask(self, name: str, *parts: Any, query: str = "", body: Any = None, file: bytes | None = None) -> Any:
        """What the operation answers to the least of its roles; nobody below that role gets in."""
        operation = BY_NAME[name]
        given = iter(parts)
        path = re.sub(r"\{[^}]*\}", lambda _: str(next(given)), operation.path)
        for who in LEAST:
            headers = {"Authorization": f"Bearer {self._api.tokens[who]}"}
            more: dict[str, Any] = {"json": body} if body is not None else {}
            if file is not None:
                headers["Content-Type"] = operation.files[0]
                more = {"data": file}
            elif body is None and operation.method != "GET":
                more = {"json": {}}
            url = f"{self._api.url}{path}{query}"
            async with self._session.request(operation.method, url, headers=headers, **more) as answer:
                raw = await answer.read()
                if who not in ELSEWHERE[name]:
                    assert answer.status == 403, (name, who, raw)
                    continue
                assert answer.status == 200, (name, who, raw)
                self.seen.add(name)
                if answer.content_type != "application/json":
                    return raw
                said = json.loads(raw)
                if operation.answer not in (None, str):
                    TypeAdapter(operation.answer).validate_json(raw)
                return said
        raise AssertionError(f"nobody may {name}")


async def test_customers_by_the_least_of_those_who_may(api: Api) -> None:
    async with aiohttp.ClientSession() as session:
        walk = Walk(session, api)
        fields = {"fields": [{"name": "shoe", "title": "Shoe size", "kind": "number"}]}
        assert (await walk.ask("customer_fields_define", body=fields))["fields"][0]["name"] == "shoe"
        assert (await walk.ask("customer_fields"))["fields"][0]["title"] == "Shoe size"
        new = {"name": "Ada Byron", "key": "row-1", "phones": [{"raw": "(555) 010-8801"}], "fields": {"shoe": 38}}
        one = await walk.ask("customer_create", body=new)
        again = await walk.ask("customer_create", body={**new, "name": "Somebody else"})
        assert (again["customer_id"], again["name"]) == (one["customer_id"], "Ada Byron"), "sent twice it is one"
        other = await walk.ask("customer_create", body={"name": "Ada Byron", "phones": [{"raw": "(555) 010-8801"}]})
        assert other["customer_id"] != one["customer_id"], "without a key, or with another, it is another"
        number = one["customer_id"]
        changed = await walk.ask("customer_change", number, body={"version": 1, "email": "ada@example.com"})
        assert (await walk.ask("customer", number))["email"] == changed["email"] == "ada@example.com"
        found = await walk.ask("customers", query="?q=ada+byr")
        assert {row["customer_id"] for row in found["customers"]} == {number, other["customer_id"]}
        note = await walk.ask("customer_note_add", number, body={"text": "first"})
        await walk.ask("customer_note_change", number, note["note_id"], body={"text": "second", "version": 1})
        assert [row["text"] for row in (await walk.ask("customer_notes", number))["notes"]] == ["second"]
        assert (await walk.ask("customer_contacts", number))["contacts"] == []
        assert [row["what"] for row in (await walk.ask("customer_history", number))["changes"]] == [
            "note",
            "changed",
            "created",
        ]
        (same,) = (await walk.ask("customer_duplicates", number))["duplicates"]
        assert same["row"]["customer_id"] == other["customer_id"]
        both = {"kept_id": number, "kept_version": 2, "gone_id": other["customer_id"], "gone_version": 1}
        assert (await walk.ask("customer_merge", body=both))["merged_from"] == [other["customer_id"]]
        (merge,) = (await walk.ask("customer_merges", number))["merges"]
        assert (await walk.ask("customer_merge_undo", merge["merge_id"]))["gone"]["name"] == "Ada Byron"
        assert b"Ada Byron" in await walk.ask("customer_export", query="?format=csv")
        item = (await walk.ask("customer_import_upload", query="?file_name=a.csv", file=b"reference,name\nR1,New\n"))[
            "item"
        ]
        at = item["import_id"]
        mapping = {"mapping": item["mapping"]}
        assert [row["change"] for row in (await walk.ask("customer_import_preview", at, body=mapping))["rows"]] == [
            "add"
        ]
        assert (await walk.ask("customer_import_run", at, body=mapping))["item"]["state"] == "running"
        assert (await walk.ask("customer_import_stop", at))["item"]["state"] == "stopped"
        assert (await walk.ask("customer_import", at))["item"]["file_name"] == "a.csv"
        assert (await walk.ask("customer_imports"))["imports"][0]["item"]["import_id"] == at
        assert (await walk.ask("customer_import_problems", at))["problems"] == []
        assert (await walk.ask("customer_everything", number))["customer"]["email"] == "ada@example.com"
        assert (await walk.ask("customer_forget", number, body={"name": "Ada Byron"}))["customers"] == 1
        assert walk.seen == {name for name in OURS if name.startswith("customer")}


async def test_flows_and_prompts_by_the_least_of_those_who_may(api: Api) -> None:
    def flow(greeting: str, name: str = "hello") -> str:
        return text(greeting, name).replace("[one]", "[bye]")

    async with aiohttp.ClientSession() as session:
        walk = Walk(session, api)
        was = (await walk.ask("flow_versions", "hello"))["version"]
        checked = await walk.ask("flows_check", body={"flows": [{"flow": "hello", "text": flow("nothing")}]})
        assert checked["problems"]
        put = {"flows": [{"flow": "hello", "text": flow("bye"), "expected": was}]}
        now = (await walk.ask("flows_apply", body=put))["flows"]["hello"]
        assert (await walk.ask("flow_version", "hello", now))["text"] == flow("bye")
        assert (await walk.ask("flow_diff", "hello", query=f"?from={was}&to={now}"))["steps"]
        assert (await walk.ask("flow_roll_back", "hello", body={"expected": now}))["flows"] == {"hello": was}
        await walk.ask("flow_draft", "hello", body={"text": flow("bye")})
        assert (await walk.ask("flow_versions", "hello"))["draft"]
        await walk.ask("flow_draft_withdraw", "hello")
        other = {"flows": [{"flow": "other", "text": flow("bye", "other"), "expected": ""}]}
        await walk.ask("flows_apply", body=other)
        await walk.ask("flow_remove", "other", body={"expected": version_of(flow("bye", "other"))})

        assert (await walk.ask("prompts"))["prompts"]
        assert (await walk.ask("prompt", "en", "hello"))["sound"]["state"] == "synthetic"
        took = await walk.ask("prompt_upload", "en", "hello", file=write_wave(tone(700)))
        assert took["sound"]["state"] == "recorded"
        assert (await walk.ask("prompt_sound", "en", "hello"))[:4] == b"RIFF"
        assert (await walk.ask("prompt_recording", "en", "hello", 1))[:4] == b"RIFF"
        assert (await walk.ask("prompt_give_up", "en", "hello"))["sound"]["state"] == "synthetic"
        assert (await walk.ask("prompt_use", "en", "hello", 1))["sound"]["state"] == "recorded"
        assert (await walk.ask("prompt_code", "en", "hello"))["code"]
        assert walk.seen == {name for name in OURS if not name.startswith("customer")}
