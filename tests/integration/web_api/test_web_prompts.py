"""Prompts over the API: who may do what, uploads and their refusals, sounds, versions, codes."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from cti.prompts import build_prompts
from cti.prompts.library import PromptLibrary
from cti.prompts.wave_file import read_wave, write_wave
from cti.services.recording_codes import TooManyCodes
from tests.unit.prompts.prompt_library_test import MANIFEST, Toner, pitch, tone

WAV = {"Content-Type": "audio/wav"}
HELLO = "/api/v1/prompts/en/hello"


class Codes:
    """Gives the same code, until there are too many."""

    dial = "*77"
    given = 0

    def give(self, language: str, name: str, *, by: str) -> tuple[str, datetime]:
        self.given += 1
        if self.given > 2:
            raise TooManyCodes("too many codes are out", remedy="wait")
        return "123456", datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=10)


@pytest.fixture
async def site(make_site, tmp_path: Path):
    folder = tmp_path / "flows"
    folder.mkdir()
    manifest = folder / "prompts.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    build_prompts(manifest, tmp_path / "prompts", open_voice=Toner().open)
    library = PromptLibrary(manifest, tmp_path / "prompts", open_voice=Toner().open)
    return await make_site(prompts=library, recording_codes=Codes())


async def test_prompts_are_listed_with_their_texts_and_states(site):
    answer, said = await site.ask("GET", "/api/v1/prompts", "supervisor")
    assert answer.status == 200
    assert said["dial"] == "*77"
    assert [row["name"] for row in said["prompts"]] == ["hello", "bye"]
    english, chinese = said["prompts"][0]["sounds"]
    assert (english["language"], english["text"], english["state"]) == ("en", "Hello.", "synthetic")
    assert (chinese["language"], chinese["text"], chinese["recordings"]) == ("zh", "你好。", 0)


async def test_an_upload_is_heard_listed_and_taken_back(site):
    answer, said = await site.ask("PUT", f"{HELLO}/recording", "admin", data=write_wave(tone(700)), headers=WAV)
    assert answer.status == 200, said
    assert (said["sound"]["state"], said["sound"]["by"], said["sound"]["how"]) == ("recorded", "admin", "upload")
    answer, sound = await site.ask("GET", f"{HELLO}/sound.wav", "supervisor")
    assert (answer.status, answer.content_type) == (200, "audio/wav")
    assert abs(pitch(read_wave(sound)) - 700) < 5
    await site.ask("PUT", f"{HELLO}/recording", "admin", data=write_wave(tone(900)), headers=WAV)
    answer, said = await site.ask("POST", f"{HELLO}/recordings/1", "admin")
    assert [(row["number"], row["current"]) for row in said["recordings"]] == [(2, False), (1, True)]
    _, kept = await site.ask("GET", f"{HELLO}/recordings/2.wav", "supervisor")
    assert abs(pitch(read_wave(kept)) - 900) < 5
    answer, said = await site.ask("DELETE", f"{HELLO}/recording", "admin")
    assert (answer.status, said["sound"]["state"], len(said["recordings"])) == (200, "synthetic", 2)


@pytest.mark.parametrize(
    ("content", "headers", "status", "error"),
    [
        (b"no sound at all", WAV, 422, "recording_refused"),
        (write_wave(tone(700, size=0.0)), WAV, 422, "recording_refused"),
        (b"", WAV, 422, "recording_refused"),
        (write_wave(tone(700)), {"Content-Type": "audio/mpeg"}, 415, "unsupported_media_type"),
        (b"\0" * (24 * 1024 * 1024 + 1), WAV, 413, "too_large"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_a_reason(site, content, headers, status, error):
    answer, said = await site.ask("PUT", f"{HELLO}/recording", "admin", data=io.BytesIO(content), headers=headers)
    assert (answer.status, said["error"]["id"]) == (status, error)
    assert said["error"]["remedy"]
    _, said = await site.ask("GET", HELLO, "admin")
    assert (said["sound"]["state"], said["recordings"]) == ("synthetic", [])


async def test_who_may_do_what(site):
    for user, listens, records in (("1001", 403, 403), ("supervisor", 200, 403), ("admin", 200, 200)):
        assert (await site.ask("GET", "/api/v1/prompts", user))[0].status == listens
        assert (await site.ask("GET", f"{HELLO}/sound.wav", user))[0].status == listens
        put = await site.ask("PUT", f"{HELLO}/recording", user, data=write_wave(tone(700)), headers=WAV)
        assert put[0].status == records
        assert (await site.ask("POST", f"{HELLO}/code", user))[0].status == records
        assert (await site.ask("DELETE", f"{HELLO}/recording", user))[0].status == records
    assert (await site.ask("GET", "/api/v1/prompts"))[0].status == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/prompts/en/nothing", 404),
        ("/api/v1/prompts/zh/bye/sound.wav", 404),
        (f"{HELLO}/recordings/7.wav", 404),
        ("/api/v1/prompts/en/..%2fhello", 400),
        ("/api/v1/prompts/..%2f/hello/sound.wav", 400),
        (f"{HELLO}/recordings/0.wav", 400),
    ],
)
async def test_what_is_not_there_is_told(site, path, status):
    answer, said = await site.ask("GET", path, "admin")
    assert (answer.status, bool(said["error"]["remedy"])) == (status, True)


async def test_codes_for_the_telephone(site):
    answer, said = await site.ask("POST", f"{HELLO}/code", "admin")
    assert answer.status == 200
    assert (said["code"], said["dial"], said["until"]) == ("123456", "*77", "2026-03-02T00:10:00Z")
    assert (await site.ask("POST", "/api/v1/prompts/en/nothing/code", "admin"))[0].status == 404
    await site.ask("POST", f"{HELLO}/code", "admin")
    answer, said = await site.ask("POST", f"{HELLO}/code", "admin")
    assert (answer.status, said["error"]["id"]) == (429, "too_many_codes")
