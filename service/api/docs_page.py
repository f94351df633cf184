"""The API's reference as one plain page, made of the OpenAPI document; loads nothing."""

import json
from html import escape
from typing import Any

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f4f4f4;padding:.75rem;overflow-x:auto;border-radius:4px}
summary{cursor:pointer;padding:.35rem 0}
summary b{display:inline-block;min-width:3.5rem;color:#005a9c}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem 1rem .15rem 0;
vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}
pre{background:#242424}summary b{color:#7cc4ff}a{color:#7cc4ff}}
"""


def docs_page(document: dict[str, Any]) -> str:
    """HTML with every operation, grouped by noun: parameters, body with examples, answers."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            by_tag.setdefault(tag, []).append(_operation(method, path, operation))
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in by_tag.items()
    )
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
        f'<p>The same for machines: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{sections}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = " or ".join(
        scope for one in operation.get("security", []) for names in one.values() for scope in names
    )
    needs = f"<p>Needs the scope <code>{escape(scopes)}</code>.</p>" if scopes else ""
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b>{method.upper()}</b> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>{needs}"
        f"{_parameters(operation)}{_body(operation)}{_answers(operation)}</details>"
    )


def _parameters(operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{escape(_type(one.get('schema', {})))}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", [])
    )
    return f"<table>{rows}</table>" if rows else ""


def _body(operation: dict[str, Any]) -> str:
    parts = []
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        kind = _type(content.get("schema", {}))
        parts.append(f"<p>Body <code>{escape(media_type)}</code>: {escape(kind)}</p>")
        for example in content.get("examples", {}).values():
            value = example["value"]
            text = value if isinstance(value, str) else json.dumps(value, indent=2)
            parts.append(f"<p>{escape(example['summary'])}</p><pre>{escape(text)}</pre>")
    return "".join(parts)


def _answers(operation: dict[str, Any]) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        kinds = {_type(content.get("schema", {})) for content in answer.get("content", {}).values()}
        rows.append(
            f"<tr><td><code>{escape(status)}</code></td><td>{escape(', '.join(sorted(kinds)))}</td>"
            f"<td>{escape(answer['description'])}</td></tr>"
        )
    return f"<p>Answers</p><table>{''.join(rows)}</table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    members = [member for key in ("anyOf", "oneOf", "allOf") for member in schema.get(key, [])]
    if members:
        return " or ".join(dict.fromkeys(_type(member) for member in members))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
