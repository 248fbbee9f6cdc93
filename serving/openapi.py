"""The API's description in OpenAPI 3.0, collected from the views' docstrings by apispec."""

from typing import Any

from apispec import APISpec
from apispec.yaml_utils import load_operations_from_docstring
from flask import Flask

from serving.questions import LARGEST, LONGEST_BATCH, LONGEST_SYMBOL, MOST_LEVELS, MOST_SYMBOLS
from serving.spread import HIGHEST, LOWEST

FEATURE_SCHEMAS: dict[str, dict[str, object]] = {
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
QUANTILES = {
    "type": "object",
    "description": "Volume in shares at each level that was asked for: the probability that it stays below",
    "additionalProperties": WHOLE,
}
MEAN = {**WHOLE, "description": "the expected Volume: better than the median where squares of errors count, and sums"}
BESIDE: dict[str, dict[str, object]] = {
    "quantiles": {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_LEVELS,
        "items": {"type": "number", "minimum": LOWEST, "maximum": HIGHEST},
        "example": [0.1, 0.5, 0.9],
    },
    "mean": {"type": "boolean"},
}
SYMBOL = {"type": "string", "minLength": 1, "description": "a symbol as /symbols lists it"}
LEVEL = "0[.](0[5-9][0-9]{0,4}|[1-8][0-9]{0,5}|9|9[0-4][0-9]{0,4}|950{0,4})"
MODEL = {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}}}
FORECAST = {
    "symbol": {"type": "string"},
    "name": {"type": "string", "nullable": True},
    "date": {"type": "string", "format": "date", "description": "the trading day that is forecast"},
    **INTERVAL,
    "features": {"type": "object", "description": "what the forecast was made from"},
    "quantiles": QUANTILES,
    "mean": MEAN,
}
RECORD = {
    "type": "object",
    "nullable": True,
    "properties": {
        "sessions": {**WHOLE, "description": "how many sessions have been scored"},
        "windows": {"type": "object", "description": "the last 20, 60 and 250 sessions: skill against naive, coverage"},
        "days": {"type": "array", "items": {"type": "object"}, "description": "the same of each session, oldest first"},
    },
}
SCHEMAS: dict[str, dict[str, object]] = {
    "Answer": {
        "type": "object",
        "description": "The volume is the median. The interval lies between two quantiles of what training has seen. "
        "They were moved until 80% of the days of a later period lay between them, for each class of size "
        "(distributional conformal prediction: Chernozhukov, Wüthrich and Zhu, 2021). Quantiles that are asked for are "
        "corrected by the same period. The interval is a little wider than those at 0.1 and 0.9: a margin for the "
        "years to come",
        "required": ["volume"],
        "properties": {
            **INTERVAL,
            "in_range": {"type": "boolean", "description": "both features are within what training has seen"},
            "model": MODEL,
            "quantiles": QUANTILES,
            "mean": MEAN,
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
            },
            "detail": {"type": "boolean", "description": "true for the interval and in_range as well"},
            **BESIDE,
        },
        "example": {"rows": [EXAMPLES]},
    },
    "Csv": {
        "type": "string",
        "description": "A header with both names and a line for each row; text/tab-separated-values with tabs",
        "example": "vol_moving_avg,adj_close_rolling_med\n12345,25\n",
        "enum": ["vol_moving_avg,adj_close_rolling_med\n12345,25\n"],
    },
    "Predictions": {
        "type": "object",
        "required": ["predictions"],
        "properties": {
            "predictions": {"type": "array", "items": WHOLE},
            "low": {"type": "array", "items": WHOLE},
            "high": {"type": "array", "items": WHOLE},
            "in_range": {"type": "array", "items": {"type": "boolean"}},
            "quantiles": {"type": "object", "additionalProperties": {"type": "array", "items": WHOLE}},
            "mean": {"type": "array", "items": WHOLE},
        },
    },
    "Forecast": {
        "type": "object",
        "description": "The interval was widened or narrowed until 80% of the days of a later year lay inside, for "
        "each class of size (split conformal prediction). What it is made of was chosen in training: the symbol's "
        "usual errors, or trees that learned the quantiles (conformalized quantile regression: Romano, Patterson and "
        "Candès, 2019)",
        "required": ["symbol", "date", "volume", "low", "high"],
        "properties": {
            **FORECAST,
            "recent": {"type": "object", "description": "dates, Volume and its 30-day mean of the last days"},
        },
    },
    "TrackRecord": {
        "type": "object",
        "required": ["live", "replay", "doubts"],
        "properties": {
            "live": {**RECORD, "description": "forecasts that were published before their day's open"},
            "replay": {
                **RECORD,
                "description": "forecasts that were made afterwards, as they would have been made then",
            },
            "doubts": {
                "type": "array",
                "items": {"type": "string"},
                "description": "what the live record speaks against",
            },
        },
    },
    "PastForecasts": {
        "type": "object",
        "required": ["symbol", "replay", "dates", "volume", "low", "high", "naive", "actual"],
        "properties": {
            "symbol": {"type": "string"},
            "replay": {"type": "boolean", "description": "made afterwards, as they would have been made then"},
            "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
            **{name: {"type": "array", "items": WHOLE} for name in ("volume", "low", "high", "naive", "actual")},
        },
    },
    "SymbolList": {
        "type": "object",
        "required": ["symbols"],
        "additionalProperties": False,
        "properties": {
            "symbols": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_SYMBOLS,
                "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_SYMBOL},
            },
            **BESIDE,
        },
        "example": {"symbols": ["AAPL", "MSFT"]},
    },
    "Forecasts": {
        "type": "object",
        "required": ["forecasts"],
        "properties": {
            "forecasts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["symbol"],
                    "properties": {**FORECAST, "error": {"type": "string"}},
                },
            }
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
    "BadRequest": "The request cannot be answered; field says which part of it is wrong",
    "NotFound": "There is no such thing",
    "TooLarge": "The body is larger than 2 MB",
    "WrongType": "The body is of another type than this takes, or its Content-Type is missing",
    "NoKey": "Through a public link: its key is missing or wrong",
    "TooLong": "The address is longer than 8,000 characters",
    "TooMany": "Through a public link: more than 120 requests in a minute; Retry-After says when to come back",
    "NotReady": "No model is loaded yet, or too much waits; Retry-After says when to come back",
}
ANYWHERE = {"401": "NoKey", "414": "TooLong", "429": "TooMany", "503": "NotReady"}
ORDER = (
    "/predict",
    "/forecast/{symbol}",
    "/forecast",
    "/symbols",
    "/track-record",
    "/track-record/{symbol}",
    "/ready",
    "/health",
    "/openapi.json",
)


def describe_api(app: Flask, prefix: str = "") -> dict[str, Any]:
    """The OpenAPI document of every view that has operations in its docstring, in the order in which people need them.

    prefix: the path under which a proxy shows this server.
    """
    spec = APISpec(title="Stock market volume", version="1", openapi_version="3.0.3", servers=[{"url": prefix or "/"}])
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for name, meaning in RESPONSES.items():
        spec.components.response(name, {"description": meaning, "content": error})
    for name, schema in FEATURE_SCHEMAS.items():
        spec.components.parameter(
            name, "query", {"name": name, "required": True, "schema": schema, "example": EXAMPLES[name]}
        )
    spec.components.parameter(
        "symbol", "path", {"name": "symbol", "required": True, "schema": SYMBOL, "example": "AAPL"}
    )
    detail = {
        "type": "string",
        "enum": ["true", "false", "1", "0"],
        "description": "true for the interval, the model and whether training has seen such a day",
    }
    levels = {
        "type": "string",
        "pattern": f"^{LEVEL}(,{LEVEL}){{0,{MOST_LEVELS - 1}}}$",
        "description": f"levels from {LOWEST} to {HIGHEST}, separated by commas: how likely Volume stays below",
    }
    mean = {**detail, "description": "true for the expected Volume as well; the answer itself is the median"}
    optional = {"detail": (detail, "true"), "quantiles": (levels, "0.1,0.5,0.9"), "mean": (mean, "true")}
    for name, (chosen, example) in optional.items():
        spec.components.parameter(
            name, "query", {"name": name, "required": False, "schema": chosen, "example": example}
        )
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        operations = load_operations_from_docstring(app.view_functions[rule.endpoint].__doc__ or "")
        if operations:
            paths.setdefault(rule.rule.replace("<", "{").replace(">", "}"), {}).update(operations)
    for path in sorted(paths, key=ORDER.index):
        for operation in paths[path].values():
            for status, name in ANYWHERE.items():
                operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})
        spec.path(path, operations=paths[path])
    return spec.to_dict()
