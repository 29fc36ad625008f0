"""The page ``/docs``: what can be asked over HTTP, made from the OpenAPI document, without a script or a network."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1rem}"
    "h2{margin-top:2.5rem}h3{margin-top:2rem}code{font-size:.9em}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-top:1px solid #8888}div.wide{overflow-x:auto}"
)


async def reference_page(request: Request) -> Response:
    """Answer with the page."""
    from starlette.responses import HTMLResponse

    return HTMLResponse(reference_html(), headers={"Cache-Control": "no-cache"})


@lru_cache(maxsize=1)
def reference_html() -> str:
    """Write the page.

    Examples
    --------
    >>> "/v1/materials" in reference_html()
    True
    """
    from api.rest.openapi import openapi

    document = openapi()
    parts = [f"<p>{_text(document['info']['description'])}</p>", '<p><a href="/openapi.json">OpenAPI document</a></p>']
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(method, path, operation))
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ionatlas: HTTP reference</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>ionatlas over HTTP</h1>\n{body}\n</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    name = escape(operation["operationId"])
    head = f'<h3 id="{name}"><code>{method.upper()} {escape(path)}</code></h3><p>{_text(operation["summary"])}.</p>'
    told = f"<p>{_text(operation.get('description', ''))}</p>"
    rows = [
        (each["name"], each["schema"], each["description"], each["required"])
        for each in operation.get("parameters", ())
    ]
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form is not None:
        schema = form["schema"]
        rows = [
            (field, rule, rule.get("description", ""), field in schema["required"])
            for field, rule in schema["properties"].items()
        ]
    elif "requestBody" in operation:
        told += "<p>The body is a JSON object with the parameters of the GET, and ids.</p>"
    if not rows:
        return head + told
    cells = "".join(
        f"<tr><td><code>{escape(field)}</code>{' (needed)' if needed else ''}</td><td>{_kind(rule)}</td>"
        f"<td>{_text(text)}</td></tr>"
        for field, rule, text, needed in rows
    )
    table = f"<table><thead><tr><th>name</th><th>type</th><th>meaning</th></tr></thead><tbody>{cells}</tbody></table>"
    return f'{head}{told}<div class="wide" tabindex="0">{table}</div>'


def _kind(rule: dict[str, Any]) -> str:
    if "enum" in rule:
        return escape(", ".join(str(each) for each in rule["enum"]))
    told = str(rule.get("type", ""))
    if "minimum" in rule and "maximum" in rule:
        told += f", {rule['minimum']} to {rule['maximum']}"
    if "default" in rule:
        told += (
            f"; {str(rule['default']).lower() if isinstance(rule['default'], bool) else rule['default']} if not given"
        )
    return escape(told)


def _text(text: str) -> str:
    """Escape a text, its words in backquotes as code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
