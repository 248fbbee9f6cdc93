"""Answers of the application's views."""

import json

from flask import Response

from serving.answers import JSON, describe_error
from serving.bundle import Bundle
from serving.watch import ModelWatch


def answer_json(content: object, bundle: Bundle | None = None) -> Response:
    """200 with JSON. bundle: the one that answers; its version is named in a header."""
    response = Response(json.dumps(content, separators=(",", ":")) + "\n", mimetype=JSON)
    if bundle:
        response.headers["X-Model-Version"] = bundle.version
    return response


def answer_error(status: int, message: str, field: str | None = None) -> Response:
    return Response(describe_error(message, field), status, mimetype=JSON)


def answer_not_ready(models: ModelWatch) -> Response:
    response = answer_error(503, models.reason)
    response.headers["Retry-After"] = "2"
    return response


def name_model(bundle: Bundle) -> dict[str, str]:
    return {"name": bundle.champion, "version": bundle.version}
