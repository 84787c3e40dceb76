"""The pages, their files, and the headers every answer has."""

from __future__ import annotations

import os

import pytest

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self' blob:; connect-src 'self' ws://127.0.0.1:8088/ws ws://127.0.0.1:8080/api/v1/feed "
    "ws://localhost:8080/api/v1/feed; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


@pytest.fixture
def built(tmp_path):
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for name in ("index", "agent", "supervisor", "call"):
        (folder / f"{name}.html").write_text(f"<title>{name}</title>")
    (folder / "assets" / "agent-1a2b3c.js").write_text("1")
    (folder / "assets" / "agent-1a2b3c.css").write_text("a{}")
    (folder / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / ".hidden").write_text("no")
    (tmp_path / "outside.txt").write_text("secret")
    os.symlink(tmp_path / "outside.txt", folder / "assets" / "link.txt")
    return folder


@pytest.mark.parametrize(
    "path", ["/", "/agent", "/supervisor", "/call", "/favicon.svg", "/healthz", "/nothing", "/api/v1/me"]
)
async def test_every_answer_has_the_headers(built, site, path):
    answer, _ = await site.ask("GET", path)
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Permissions-Policy"].startswith("microphone=(self), camera=(), geolocation=(), ")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
    assert answer.headers["Server"] == "cti"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("path", "title"), [("/", "index"), ("/agent", "agent"), ("/supervisor", "supervisor"), ("/call", "call")]
)
async def test_pages_are_never_kept(built, site, path, title):
    answer, said = await site.ask("GET", path)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert said == f"<title>{title}</title>".encode()
    assert answer.content_type == "text/html"


async def test_hashed_files_are_kept_for_ever_and_others_asked_for_again(built, site):
    answer, said = await site.ask("GET", "/assets/agent-1a2b3c.js")
    assert (said, answer.headers["Cache-Control"]) == (b"1", "public, max-age=31536000, immutable")
    assert answer.content_type in ("text/javascript", "application/javascript")
    answer, _ = await site.ask("GET", "/favicon.svg")
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("image/svg+xml", "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/assets/../../outside.txt",
        "/assets/%2e%2e/%2e%2e/outside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/assets/link.txt",
        "/.hidden",
        "/assets",
        "/assets/",
        "/agent.html",
        "/agent/",
        "//etc/passwd",
        "/assets/" + "a" * 300,
    ],
)
async def test_nothing_but_the_built_files_is_served(built, site, path):
    from yarl import URL

    async with site.client.session.get(URL(str(site.client.make_url("/")).rstrip("/") + path, encoded=True)) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["id"] == "not_found"


async def test_before_the_pages_are_built_the_remedy_is_named(site):
    answer, said = await site.ask("GET", "/agent")
    assert (answer.status, said["error"]["id"]) == (503, "ui_not_built")
    assert "make ui" in said["error"]["remedy"]
    answer, said = await site.ask("GET", "/", headers={"Accept": "text/html,*/*"})
    assert (answer.status, answer.content_type) == (503, "text/html")
    assert b"make ui" in said
