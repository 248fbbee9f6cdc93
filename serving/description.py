"""The API in OpenAPI's terms, and as a page to read. Limits come from the code that enforces them."""

from functools import cache
from html import escape
from typing import Any

from apispec import APISpec

from serving.bundle import FEATURES
from serving.questions import LARGEST, LONGEST_BATCH

ABOUT = {
    "vol_moving_avg": "mean Volume of the last 30 trading rows, in shares",
    "adj_close_rolling_med": "median Adj Close of the last 30 trading rows, in dollars",
}
EXAMPLES = {"vol_moving_avg": 1_200_000, "adj_close_rolling_med": 25}
COUNT = {"type": "integer", "minimum": 0}


@cache
def describe_api() -> dict[str, Any]:
    spec = APISpec(title="Trading volume", version="1", openapi_version="3.0.3")
    spec.components.schema("Error", make_object({"error": {"type": "string"}, "field": {"type": "string"}}, ["error"]))
    spec.components.schema("Row", make_object({name: describe_feature(name) for name in FEATURES}))
    spec.components.schema("Answer", make_object(ANSWER))
    spec.components.schema("Forecast", make_object(FORECAST))
    for path, operations in describe_paths().items():
        spec.path(path, operations=operations)
    return spec.to_dict()


def describe_feature(name: str) -> dict[str, Any]:
    least = 0 if name == "vol_moving_avg" else -LARGEST
    return {
        "type": "number",
        "minimum": least,
        "maximum": LARGEST,
        "description": ABOUT[name],
        "example": EXAMPLES[name],
    }


def make_object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


ANSWER = {
    "volume": {**COUNT, "description": "shares"},
    "low": {**COUNT, "description": "lower bound of the 80% interval"},
    "high": {**COUNT, "description": "upper bound of the 80% interval"},
    "in_range": {"type": "boolean", "description": "whether training has seen values as small and as large"},
    "model": {"type": "string", "description": "version of the model"},
}
FORECAST = {
    **{name: ANSWER[name] for name in ("volume", "low", "high", "model")},
    "symbol": {"type": "string"},
    "date": {"type": "string", "format": "date", "description": "the next trading day"},
    "features": {"type": "object"},
}


def describe_paths() -> dict[str, Any]:
    by_query = [
        {"name": name, "in": "query", "required": True, "schema": describe_feature(name)} for name in FEATURES
    ] + [{"name": "detail", "in": "query", "schema": {"type": "boolean", "default": False}}]
    rows = {"type": "array", "minItems": 1, "maxItems": LONGEST_BATCH, "items": {**refer("Row")}}
    batch = {**make_object({"rows": rows}), "additionalProperties": False}
    symbol = {"name": "symbol", "in": "path", "required": True, "schema": {"type": "string"}, "example": "AAPL"}
    found = {"type": "array", "items": make_object({"symbol": {"type": "string"}, "name": {"type": "string"}})}
    return {
        "/predict": {
            "get": describe(
                "One day's Volume from the two features; with detail=true its interval as well",
                {"oneOf": [COUNT, refer("Answer")]},
                [400, 414, 503],
                parameters=by_query,
            ),
            "post": describe(
                f"Up to {LONGEST_BATCH:,} rows at once, answered in their order",
                make_object({"predictions": {"type": "array", "items": COUNT}}),
                [400, 413, 415, 503],
                requestBody={"required": True, "content": {"application/json": {"schema": batch}}},
            ),
        },
        "/forecast/{symbol}": {
            "get": describe(
                "A symbol's Volume on the next trading day", refer("Forecast"), [404, 414, 503], parameters=[symbol]
            )
        },
        "/symbols": {
            "get": describe(
                "Symbols that begin with q, then those with q in their name",
                make_object({"symbols": found}),
                [400, 414, 503],
                parameters=[{"name": "q", "in": "query", "schema": {"type": "string"}}],
            )
        },
        "/model": {"get": describe("What the model is and how it did on the test period", {"type": "object"}, [503])},
        "/health": {"get": describe("Whether the server lives", {"type": "object"})},
        "/ready": {"get": describe("Whether a model is loaded, and which versions were refused", {"type": "object"})},
    }


def describe(summary: str, schema: dict[str, Any], failures: list[int] = (), **more: Any) -> dict[str, Any]:
    answers = {"200": {"description": "The answer", "content": {"application/json": {"schema": schema}}}}
    for status in failures:
        answers[str(status)] = {
            "description": "An error that says what to do",
            "content": {"application/json": {"schema": refer("Error")}},
        }
    return {"summary": summary, "responses": answers, **more}


def refer(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@cache
def write_docs_page() -> str:
    """The description as HTML, without a script, so that it reads offline."""
    sections = []
    for path, operations in describe_api()["paths"].items():
        for method, operation in operations.items():
            parameters = "".join(
                f"<li><code>{escape(parameter['name'])}</code> {escape(parameter['schema'].get('description', ''))}</li>"
                for parameter in operation.get("parameters", [])
            )
            statuses = ", ".join(operation["responses"])
            sections.append(
                f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>"
                f"<ul>{parameters}</ul><p class=quiet>Answers {statuses}.</p></section>"
            )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>Trading volume: the API</title><link rel="stylesheet" href="static/page.css">'
        '<main><h1>The API</h1><p><a href=".">Back to the page</a>; the same for programs: '
        f'<a href="openapi.json">openapi.json</a></p>{"".join(sections)}</main></html>'
    )
