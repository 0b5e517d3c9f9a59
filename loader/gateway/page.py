"""The OpenAPI document as a web page: Swagger UI, from a package, so that it works without the internet."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from loader.gateway.http import Handler, HttpError, Request
from loader.gateway.openapi import DOCUMENT_PATH, PAGE_PATH

_HEADERS = {
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>runqy-loader gateway</title><link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png"></head>
<body><div id="page"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
<noscript>This page needs JavaScript. <a href="{DOCUMENT_PATH[1:]}">The OpenAPI document</a> does not.</noscript>
</body></html>"""
_START = f'SwaggerUIBundle({{url: "{DOCUMENT_PATH[1:]}", dom_id: "#page", deepLinking: true, validatorUrl: null}});'


def page_handlers() -> dict[str, Handler]:
    """The handlers of the page, by path. Without Swagger UI, the page says how to get it."""

    async def page(request: Request) -> Response:
        if swagger_ui() is None:
            text = f"the page needs Swagger UI: pip install 'runqy-loader[openapi]'. The document is at {DOCUMENT_PATH}"
            raise HttpError(404, text)
        return Response(_PAGE, 200, _HEADERS, "text/html")

    async def start(request: Request) -> Response:
        return Response(_START, 200, _HEADERS, "text/javascript")

    return {PAGE_PATH: page, f"{PAGE_PATH}/start.js": start}


def page_files() -> list[Mount]:
    """The route to the files that the page loads."""
    files = swagger_ui()
    return [] if files is None else [Mount(PAGE_PATH, StaticFiles(directory=files))]


@cache
def swagger_ui() -> Path | None:
    """The files of Swagger UI. The package is not imported: its code is for Flask."""
    found = find_spec("flask_swagger_ui")
    places = (found.submodule_search_locations if found is not None else None) or ()
    return next((Path(place) / "dist" for place in places), None)
