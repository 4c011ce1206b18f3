"""The OpenAPI description as one plain page: no script, nothing from other servers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: var(--soft); padding: 0.75rem; overflow-x: auto; border-radius: 6px; }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0.5rem 0.75rem; }
summary { cursor: pointer; }
small { opacity: 0.75; margin-left: 0.5rem; }
summary b { display: inline-block; min-width: 4.5rem; color: var(--accent); }
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
        (f"{item['name']} ({item['in']})", _type(item.get("schema", {})), item.get("description", ""))
        for item in operation.get("parameters", [])
    ]
    bodies = [
        (kind, _type(content.get("schema", {})), "")
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        (code, ", ".join(_type(kind.get("schema", {})) for kind in answer.get("content", {}).values()), _words(answer))
        for code, answer in sorted(operation.get("responses", {}).items())
    ]
    text = operation.get("description", "")
    return (
        f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> "
        f"<small>{escape(text.partition('.')[0])}</small></summary><p>{escape(text)}</p>"
        f"{_table('asks for', [*parameters, *bodies])}{_table('answers', answers)}</details>"
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        (field, _type(item) + ("" if field in needed else ", may be left out"), item.get("description", ""))
        for field, item in schema.get("properties", {}).items()
    ]
    return (
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        f"<p>{escape(schema.get('description', ''))}</p>{_table('field', rows)}</details>"
    )


def _table(head: str, rows: Sequence[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<table><thead><tr><th>{head}</th><th>type</th><th></th></tr></thead><tbody>{cells}</tbody></table>"


def _words(answer: Mapping[str, Any]) -> str:
    text = answer.get("description", "")
    return "" if text == "Successful Response" else text


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(item) for item in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    bounds = [f"{sign} {schema[key]:,}" for key, sign in _BOUNDS.items() if key in schema]
    return " ".join([str(schema.get("type", "file")), *bounds])


_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
