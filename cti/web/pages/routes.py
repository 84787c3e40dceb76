"""The pages: built files from one folder, nothing else.

Files under /assets have a hash of their content in their name, so a browser may keep them for ever; the pages
themselves are never kept.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import hdrs, web

from cti.web.deps import DEPS
from cti.web.errors import ApiError

PAGES = {
    "/": "index.html",
    "/agent": "agent.html",
    "/supervisor": "supervisor.html",
    "/call": "call.html",
    "/customers": "customers.html",
    "/flows": "flows.html",
    "/work": "work.html",
    "/contact": "contact.html",
    "/prompts": "prompts.html",
    "/wall": "wall.html",
    "/reports": "reports.html",
    "/quality": "quality.html",
    "/account": "account.html",
}
_NOT_BUILT = "the pages are not built"
_NOT_BUILT_REMEDY = "run `make ui`, then reload"
_FOR_EVER = "public, max-age=31536000, immutable"


def _not_found() -> ApiError:
    return ApiError(
        404,
        "not_found",
        "there is nothing at this address",
        remedy="the pages are " + ", ".join(sorted(PAGES)),
    )


def _inside(folder: Path, path: str) -> Path | None:
    """The file at `path` below `folder`, if there is one and it really lies there."""
    if "\0" in path or any(part.startswith(".") for part in path.split("/")):
        return None
    try:
        file = (folder / path).resolve()
        if file.is_file() and file.is_relative_to(folder.resolve()):
            return file
    except (OSError, ValueError):
        return None
    return None


async def page(request: web.Request) -> web.StreamResponse:
    """One of the pages."""
    folder = request.app[DEPS].static
    name = PAGES[request.path]
    file = _inside(folder, name)
    if file is not None:
        return web.FileResponse(file, headers={hdrs.CACHE_CONTROL: "no-store"})
    if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        text = f"<!doctype html><html lang=en><meta charset=utf-8><title>CTI</title><p>503: {_NOT_BUILT}. {_NOT_BUILT_REMEDY}."
        return web.Response(status=503, text=text, content_type="text/html", headers={hdrs.CACHE_CONTROL: "no-store"})
    raise ApiError(503, "ui_not_built", _NOT_BUILT, remedy=_NOT_BUILT_REMEDY)


async def asset(request: web.Request) -> web.StreamResponse:
    """A file the pages use."""
    path = request.match_info["path"]
    file = _inside(request.app[DEPS].static, path)
    if file is None or path.endswith(".html"):
        raise _not_found()
    kept = _FOR_EVER if path.startswith("assets/") else "no-cache"
    return web.FileResponse(file, headers={hdrs.CACHE_CONTROL: kept})


def add_pages(app: web.Application) -> None:
    """Route the pages and, last of all, their files."""
    for path in PAGES:
        app.router.add_get(path, page)
    app.router.add_get("/{path:(?!api/).+}", asset)
