"""The API's description in OpenAPI 3.0, collected from the views' docstrings by apispec."""

from typing import Any

from apispec import APISpec
from apispec.yaml_utils import load_operations_from_docstring
from flask import Flask

from serving.questions import LARGEST, LONGEST_BATCH

FEATURE_SCHEMAS = {
    "vol_moving_avg": {
        "type": "number",
        "minimum": 0,
        "maximum": LARGEST,
        "description": "30-day mean of Volume, shares",
    },
    "adj_close_rolling_med": {
        "type": "number",
        "minimum": -LARGEST,
        "maximum": LARGEST,
        "description": "30-day median of Adj Close",
    },
}
EXAMPLES = {"vol_moving_avg": 12345, "adj_close_rolling_med": 25}

WHOLE = {"type": "integer", "minimum": 0}
INTERVAL = {
    "volume": {**WHOLE, "description": "predicted Volume in shares"},
    "low": {**WHOLE, "description": "lower bound of the 80% interval"},
    "high": {**WHOLE, "description": "upper bound of the 80% interval"},
}
MODEL = {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}}}
SCHEMAS = {
    "Answer": {
        "type": "object",
        "required": ["volume", "low", "high", "in_range", "model"],
        "properties": {
            **INTERVAL,
            "in_range": {"type": "boolean", "description": "both features are within what training has seen"},
            "model": MODEL,
        },
    },
    "Batch": {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {
            "rows": {
                "type": "array",
                "minItems": 1,
                "maxItems": LONGEST_BATCH,
                "items": {
                    "type": "object",
                    "required": list(FEATURE_SCHEMAS),
                    "additionalProperties": False,
                    "properties": FEATURE_SCHEMAS,
                },
            }
        },
        "example": {"rows": [EXAMPLES]},
    },
    "Predictions": {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": WHOLE}},
    },
    "Forecast": {
        "type": "object",
        "required": ["symbol", "date", "volume", "low", "high"],
        "properties": {
            "symbol": {"type": "string"},
            "name": {"type": "string", "nullable": True},
            "date": {"type": "string", "format": "date", "description": "the trading day that is forecast"},
            **INTERVAL,
            "features": {"type": "object", "description": "what the forecast was made from"},
            "recent": {"type": "object", "description": "dates, Volume and its 30-day mean of the last days"},
        },
    },
    "Symbols": {
        "type": "object",
        "required": ["symbols"],
        "properties": {"symbols": {"type": "array", "maxItems": 20, "items": {"type": "object"}}},
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "field": {"type": "string"}},
    },
}
RESPONSES = {
    "BadRequest": "The request cannot be answered; `field` names what is wrong",
    "NotFound": "There is no such thing",
    "TooLarge": "The body is larger than 2 MB",
    "NotReady": "No model is loaded yet, or too many requests wait",
}


def describe_api(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of every view that has operations in its docstring."""
    spec = APISpec(title="Stock market volume", version="1", openapi_version="3.0.3")
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for name, meaning in RESPONSES.items():
        spec.components.response(name, {"description": meaning, "content": error})
    for name, schema in FEATURE_SCHEMAS.items():
        spec.components.parameter(
            name, "query", {"name": name, "required": True, "schema": schema, "example": EXAMPLES[name]}
        )
    detail = {"type": "string", "enum": ["true", "false", "1", "0"]}
    spec.components.parameter(
        "detail", "query", {"name": "detail", "required": False, "schema": detail, "example": "true"}
    )
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        operations = load_operations_from_docstring(app.view_functions[rule.endpoint].__doc__ or "")
        if operations:
            spec.path(rule.rule.replace("<", "{").replace(">", "}"), operations=operations)
    return spec.to_dict()
