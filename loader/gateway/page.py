"""The OpenAPI document as a web page: plain HTML without scripts, which loads nothing from other places."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson

from loader.gateway.http import Headers

HEADERS: Headers = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1f;
  background: #fff }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; padding-bottom: .3rem }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f2f3f5; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .8rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .3rem .8rem
  .3rem 0; border-bottom: 1px solid #e3e3e6 }
.method { color: #fff; background: #2458a6; border-radius: 4px; padding: .1rem .5rem; font-size: .9rem }
@media (prefers-color-scheme: dark) { body { color: #e6e6e9; background: #16171a } code, pre { background: #26282d }
  h2, td, th { border-color: #3a3c42 } a { color: #8ab4f8 } }
"""

Json = dict[str, Any]


def page(document: bytes) -> bytes:
    """The page for an OpenAPI document of this package."""
    content: Json = orjson.loads(document)
    info = content["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])} "
        'The <a href="openapi.json">OpenAPI document</a> is for programs.</p>'
    ]
    if schemes := content["components"].get("securitySchemes"):
        parts.append(
            f"<p>For operations marked <em>key</em>, send the header <code>Authorization: Bearer KEY</code>: "
            f"{escape(schemes['bearer']['description'].lower())}.</p>"
        )
    for path, methods in content["paths"].items():
        parts += (_operation(path, method, operation) for method, operation in methods.items())
    parts.append("<h2>Schemas</h2>")
    parts += (_schema(name, schema) for name, schema in content["components"]["schemas"].items())
    title = escape(info["title"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    ).encode()


def _operation(path: str, method: str, operation: Json) -> str:
    key = " · <em>key</em>" if "security" in operation else ""
    parts = [
        f'<h2 id="{escape(operation["operationId"])}"><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code></h2><p>{escape(operation['summary'])}{key}</p>"
    ]
    if parameters := operation.get("parameters"):
        rows = ((f"<code>{escape(p['name'])}</code> ({p['in']})", escape(p["description"])) for p in parameters)
        parts.append(_table(("Parameter", ""), rows))
    if body := operation.get("requestBody"):
        media = body["content"]["application/json"]
        example = orjson.dumps(media["example"], option=orjson.OPT_INDENT_2).decode()
        parts.append(f"<p>Body: {_type(media['schema'])}, such as</p><pre>{escape(example)}</pre>")
    rows = (
        (f"<code>{status}</code>", escape(answer["description"]) + _content(answer))
        for status, answer in operation["responses"].items()
    )
    parts.append(_table(("Answer", ""), rows))
    return "".join(parts)


def _content(answer: Json) -> str:
    kinds = [_type(media["schema"]) for media in answer["content"].values()]
    return f": {', '.join(kinds)}"


def _schema(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = (
        (f"<code>{escape(field)}</code>{'' if field in required else ' (optional)'}", _described(kind))
        for field, kind in schema["properties"].items()
    )
    text = escape(schema.get("description", ""))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{text}</p>{_table(("Field", ""), rows)}'


def _described(kind: Json) -> str:
    texts = [part["description"] for part in (kind, *kind.get("anyOf", ())) if "description" in part]
    return ". ".join((_type(kind), *map(escape, texts)))


def _type(kind: Json) -> str:
    if "$ref" in kind:
        name = escape(kind["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in kind:
        return " or ".join(map(_type, kind["anyOf"]))
    if kind.get("type") == "array":
        return f"list of {_type(kind['items'])}"
    return escape(kind.get("type", "any JSON"))


def _table(head: tuple[str, str], rows: Any) -> str:
    lines = "".join(f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows)
    return f"<table><tr><th>{head[0]}</th><th>{head[1]}</th></tr>{lines}</table>"
