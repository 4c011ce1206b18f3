"""The OpenAPI description as one plain page: no script, nothing from other servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: var(--soft); padding: 0.75rem; overflow-x: auto; border-radius: 6px; }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0.5rem 0.75rem; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 4.5rem; color: var(--accent); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.25rem 0.5rem;
border-bottom: 1px solid var(--line); }
"""


def docs_page(description: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI description: operations by tag, then the schemas."""
    operations: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            operations.setdefault(tag, []).append(_operation(path, method, operation))
    schemas = description.get("components", {}).get("schemas", {})
    info = description["info"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}: API</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(info['title'])}: API</h1><p>{escape(info.get('summary', ''))} The same as ",
        '<a href="/api/v1/openapi.json">OpenAPI JSON</a>.</p>',
        *(f"<h2>{escape(tag)}</h2>{''.join(items)}" for tag, items in operations.items()),
        "<h2>schemas</h2>",
        *(_schema(name, schema) for name, schema in sorted(schemas.items())),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parameters = [
        (f"{item['name']} ({item['in']})", json.dumps(item.get("schema", {}).get("default", "")))
        for item in operation.get("parameters", [])
    ]
    bodies = [
        (f"body: {kind}", _type(content.get("schema", {})))
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        (code, ", ".join(_type(content.get("schema", {})) for content in answer.get("content", {}).values()))
        for code, answer in sorted(operation.get("responses", {}).items())
    ]
    return (
        f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code></summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"{_table('asks for', [*parameters, *bodies])}{_table('answers', answers)}</details>"
    )


def _table(head: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table><thead><tr><th>{head}</th><th></th></tr></thead><tbody>{cells}</tbody></table>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=2))
    return f"<details><summary><code>{escape(name)}</code></summary><pre tabindex='0'>{text}</pre></details>"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "file"))
