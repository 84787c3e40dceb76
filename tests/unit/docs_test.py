"""What the documentation says is so: keys, defaults, columns, commands, files, examples."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML
from typer.main import get_command

from cti import alert_forms, calendar_forms, desk_forms, outbound_forms
from cti import centre_forms as forms
from cti.centre_file import load_centre, parse_centre
from cti.cli import app
from cti.ivr.checker import check_text
from cti.ivr.dialogues import Dialogues, parse_dialogues
from cti.ivr.document import Table
from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.ivr.reading import Fields, Findings
from cti.ivr.verbs import VERBS
from cti.model.centre import Target
from cti.model.facts import Outcome
from cti.places import DEMO_CENTRE
from cti.services.audit import REPAIRS
from cti.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
Row = list[str]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tables(text: str) -> Iterator[tuple[str, list[Row]]]:
    """Every table of a page, with the heading above it."""
    heading, rows = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
            continue
        if rows:
            yield heading, rows[2:]
            rows = []
        if line.startswith("#"):
            heading = line.lstrip("# ")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def code(cell: str) -> str:
    return cell.strip("`")


# ---- settings


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, about in model.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            yield from leaves(about.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", about.default


def shown(default: Any) -> str:
    if default is None:
        return "none"
    if default == "":
        return "empty"
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    return f"`{default}`"


def test_settings_are_all_there_with_default_and_variable() -> None:
    told = {code(row[0]): (row[1], code(row[3])) for _, rows in tables(text_of("docs/settings.md")) for row in rows}
    assert told == {key: (shown(default), f"CTI_{key.upper().replace('.', '__')}") for key, default in leaves(Settings)}


def test_the_example_of_a_settings_file_is_read(tmp_path: Path) -> None:
    (example,) = blocks(text_of("docs/settings.md"), "toml")
    tomllib.loads(example)
    (tmp_path / "centre.toml").write_text(example)
    assert load_settings(tmp_path / "centre.toml", environ={}).ports.of("web") == 9080


# ---- the centre file


FORMS: dict[str, type[BaseModel]] = {
    "The centre": forms.CentreForm,
    "A queue: `queues.<name>`": forms.QueueForm,
    "Announcements: `queues.<name>.announce`": forms.AnnounceForm,
    "Going elsewhere: `queues.<name>.overflow`": forms.OverflowForm,
    "Whom a caller is held for: `queues.<name>.preferred`": forms.PreferenceForm,
    "Calling back: `queues.<name>.callback`": forms.CallbackForm,
    "An agent: `agents.<extension>`": forms.AgentForm,
    "After a failed offer: `agents.<extension>.delays`": forms.DelaysForm,
    "A group: `groups.<name>`": forms.GroupForm,
    "A tier: `tiers.<name>`": forms.TierForm,
    "A number: `numbers.<number>`": forms.NumberForm,
    "A calendar: `calendars.<name>`": calendar_forms.CalendarForm,
    "Holidays: `calendars.<name>.holidays`": calendar_forms.HolidaysForm,
    "A service: `services.<name>`": forms.ServiceForm,
    "Dialling out: `outbound`": outbound_forms.OutboundForm,
    "A price: `outbound.prices.<beginning>`": outbound_forms.PriceForm,
    "Caps: `outbound.caps`": outbound_forms.CapsForm,
    "A cap: `outbound.caps.centre`": outbound_forms.CapForm,
    "Browser telephones: `presence`": forms.PresenceForm,
    "Supervisors: `supervision`": forms.SupervisionForm,
    "Alerts: `alerts`": alert_forms.AlertsForm,
    "A threshold: `alerts.each_queue.<figure>`": alert_forms.ThresholdForm,
    "Telling somebody of alerts: `alerts.webhook`": alert_forms.AlertWebhookForm,
    "Another customer system: `crm`": desk_forms.CrmForm,
    "Telling it of calls: `crm.webhook`": desk_forms.WebhookForm,
}


def default_of(about: Any) -> str:
    if about.is_required():
        return "must be given"
    default = about.default
    if default in ({}, [], None):
        return "none"
    if default == "":
        return "empty"
    if isinstance(default, BaseModel):
        return "see below"
    if isinstance(default, Target):
        return f"`{default.kind}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`[{', '.join(default)}]`"
    return f"`{default}`"


def test_keys_of_the_centre_file_are_all_there_with_their_defaults() -> None:
    told = {heading: {code(row[0]): row[1] for row in rows} for heading, rows in tables(text_of("docs/centre.md"))}
    assert told == {
        heading: {name: default_of(about) for name, about in form.model_fields.items()}
        for heading, form in FORMS.items()
    }


def test_the_example_of_a_centre_is_read() -> None:
    (example,) = blocks(text_of("docs/centre.md"), "yaml")
    assert parse_centre(example, source="docs/centre.md").agents


# ---- flows


@pytest.fixture(scope="module")
def prompts() -> PromptBook:
    book = parse_prompts(text_of("ivr_flows/prompts.yaml"), "prompts.yaml")
    assert isinstance(book, PromptBook)
    return book


def test_the_example_of_a_flow_can_go_live(prompts: PromptBook) -> None:
    dialogues, example, manifest = blocks(text_of("docs/flows.md"), "yaml")
    assert isinstance(parse_dialogues(dialogues, "main.yaml"), Dialogues)
    assert check_text(example, "order_status.yaml", load_centre(DEMO_CENTRE), prompts) == []
    assert isinstance(parse_prompts(manifest, "prompts.yaml"), PromptBook)


def fields_of(verb: str) -> set[str]:
    fields = Fields(Table((), None), "step", Findings("x"))  # type: ignore[arg-type]
    VERBS[verb]("x", None, fields)  # type: ignore[arg-type]
    return set(fields._taken)


SHARED = {"no_input", "invalid", "tries", "first_digit", "barge_in"}


def test_verbs_and_their_fields_are_all_there() -> None:
    told: dict[str, set[str]] = {}
    for heading, rows in tables(text_of("docs/flows.md")):
        if found := re.match(r"`(\w+)`: ", heading):
            told[found[1]] = {code(row[0]) for row in rows}
    for verb in ("collect", "choose_language"):
        told[verb] |= SHARED
    told["request_callback"] |= SHARED - {"barge_in"}
    told["python"] |= told["call_service"] - {"call_service"}
    assert told == {verb: fields_of(verb) for verb in VERBS}


# ---- reports


def test_columns_of_the_view_are_all_there_in_their_order() -> None:
    sql = text_of("cti/store/migrations/0001_first.sql")
    select = re.search(r"CREATE VIEW report\.calls AS\s+SELECT (.*?)\s+FROM", sql, re.DOTALL)
    assert select is not None
    columns, outcomes, *_ = (rows for _, rows in tables(text_of("docs/reports.md")))
    assert [code(row[0]) for row in columns] == [name.strip() for name in select[1].split(",")]
    assert {name for row in outcomes for name in re.findall(r"`(\w+)`", row[0])} == {o.value for o in Outcome}


def test_columns_of_the_promises_are_all_there_in_their_order() -> None:
    sql = text_of("cti/store/migrations/0002_wait_promises.sql")
    commented = re.findall(r"COMMENT ON COLUMN report\.wait_promises\.(\w+) IS", sql)
    _, _, columns, ends, *_ = (rows for _, rows in tables(text_of("docs/reports.md")))
    assert [code(row[0]) for row in columns] == commented
    assert {code(row[0]) for row in ends} == set(re.findall(r"(?:THEN|ELSE) '(\w+)'", sql))


def test_columns_of_the_steps_of_flows_are_all_there_in_their_order() -> None:
    sql = text_of("cti/store/migrations/0004_flow_steps.sql")
    *_, columns, _, _ = (rows for _, rows in tables(text_of("docs/reports.md")))
    assert [code(row[0]) for row in columns] == re.findall(r"COMMENT ON COLUMN report\.flow_steps\.(\w+) IS", sql)


@pytest.mark.parametrize(("view", "place"), [("survey_answers", -2), ("messages", -1)])
def test_columns_of_what_callers_said_are_all_there_in_their_order(view: str, place: int) -> None:
    sql = text_of("cti/store/migrations/0005_said.sql")
    columns = [rows for _, rows in tables(text_of("docs/reports.md"))][place]
    assert [code(row[0]) for row in columns] == re.findall(rf"COMMENT ON COLUMN report\.{view}\.(\w+) IS", sql)


# ---- the audit


def test_every_kind_of_breach_is_told() -> None:
    (kinds,) = (rows for heading, rows in tables(text_of("docs/explain.md")) if heading == "The audit")
    assert [code(row[0]) for row in kinds] == list(REPAIRS)


# ---- commands and files


def inline_and_shell(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    lines += re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def commands() -> dict[str, Any]:
    """Every command by its words."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        found[" ".join(words)] = command
        for name, sub in getattr(command, "commands", {}).items():
            walk(sub, (*words, name))

    walk(get_command(app), ("cti",))
    return found


def uses(program: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"(?:^|[\s/=]){program} ([a-z\[-].*)$")
    return [
        (page.name, match[1])
        for page in PAGES
        for line in inline_and_shell(page)
        if (match := pattern.search(re.sub(r"\s+#.*", "", line)))
    ]


def test_every_cti_command_that_is_named_exists_with_its_options() -> None:
    known = commands()
    assert len(uses("cti")) > 10
    for page, rest in uses("cti"):
        words, here = rest.replace("[", " ").replace("]", " ").split(), "cti"
        for word in words:
            if f"{here} {word}" in known:
                here = f"{here} {word}"
            else:
                break
        assert here != "cti" or words[0].startswith("--"), f"{page}: cti {rest}"
        options = {option for parameter in known[here].params for option in parameter.opts} | {"--help"}
        named = set(re.findall(r"--[a-z]+", rest.split("|")[0]))
        assert named <= options, f"{page}: cti {rest}: {named - options}"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = {(page, rest.split()[0]) for page, rest in uses("make")}
    assert {"up", "test", "demo"} <= {target for _, target in named}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_the_table_of_commands_is_whole() -> None:
    readme = text_of("README.md")
    shown_ = {
        f"cti {word}"
        for word, command in get_command(app).commands.items()
        if not command.hidden  # type: ignore[attr-defined]
    }
    assert all(f"`{command}" in readme for command in shown_)


def test_links_and_paths_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if "://" not in target and not target.endswith(".png"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
        for path in re.findall(r"`((?:cti|docs|tests|ivr_flows|asterisk_conf|benchmarks)/[\w./]*)`", text):
            assert (ROOT / path).exists() or "NNNN" in path, f"{page.name}: {path}"


def test_anchors_exist() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            other = (page.parent / target).read_text(encoding="utf-8") if target else page.read_text(encoding="utf-8")
            anchors = {
                re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
                for line in other.splitlines()
                if line.startswith("#")
            }
            assert anchor in anchors, f"{page.name}: {target}#{anchor}"


def test_the_changelog_names_the_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert version in text_of("CHANGELOG.md")


def test_yaml_of_the_pages_is_yaml() -> None:
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "yaml"):
            assert YAML(typ="safe").load(block)
