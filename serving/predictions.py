"""Predictions from the two features: one by its address, many by a body."""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, abort, request

from serving import replies
from serving.answers import JSON_HEADERS, describe_error
from serving.model import Answer
from serving.questions import (
    CSV_TYPES,
    QuestionError,
    Rows,
    read_batch,
    read_csv,
    read_json,
    read_query,
    read_wanted_alone,
)
from serving.spread import MISSING
from serving.table import FEATURES
from serving.watch import ModelWatch

Headers = list[tuple[str, str]]


def answer_query(models: ModelWatch, query: str) -> tuple[str, Headers, bytes]:
    """Status, headers and body for GET /predict.

    No Flask in it: nine of ten requests are this one, and Flask's request, response and headers take longer than all
    the rest of it together.
    """
    try:
        volume, price, detail, wanted = read_query(parse_qs(query, keep_blank_values=True))
    except QuestionError as error:
        return finish("400 BAD REQUEST", describe_error(str(error), error.field))
    bundle = models.bundle
    if bundle is None:
        return finish("503 SERVICE UNAVAILABLE", describe_error(models.reason), ("Retry-After", "2"))
    answer = bundle.model.answer(volume, price)
    if not detail and not wanted:
        return finish("200 OK", b"%d\n" % answer.volume, ("X-Model-Version", bundle.version))
    told: dict[str, object] = {"volume": answer.volume}
    if detail:
        told = {**vars(answer), "model": replies.name_model(bundle)}
    if wanted and not bundle.model.spread:
        return finish("400 BAD REQUEST", describe_error(MISSING, wanted.field))
    if wanted and bundle.model.spread:
        told |= bundle.model.spread.describe_one(wanted, volume, price)
    body = json.dumps(told, separators=(",", ":")) + "\n"
    return finish("200 OK", body.encode(), ("X-Model-Version", bundle.version))


def finish(status: str, body: bytes, *headers: tuple[str, str]) -> tuple[str, Headers, bytes]:
    return status, [*JSON_HEADERS, *headers, ("Content-Length", str(len(body)))], body


class Shortcut:
    """WSGI middleware that answers GET /predict before Flask does."""

    def __init__(self, application: WSGIApplication, models: ModelWatch) -> None:
        self.application = application
        self.models = models

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/predict" and environ["REQUEST_METHOD"] == "GET":
            status, headers, body = answer_query(self.models, environ["QUERY_STRING"])
            start_response(status, headers)
            return [body]
        return self.application(environ, start_response)


def add_predictions(app: Flask, models: ModelWatch) -> None:
    @app.get("/predict")
    def predict_one() -> Response:
        """Predict the Volume of a day from the two features.
        ---
        get:
          operationId: predict
          summary: Predict the Volume of a day from its two features
          parameters:
            - vol_moving_avg
            - adj_close_rolling_med
            - detail
            - quantiles
            - mean
          responses:
            '200':
              description: The predicted Volume in shares; with detail, quantiles or mean an object
              content:
                application/json:
                  schema: {oneOf: [{type: integer, minimum: 0}, {$ref: '#/components/schemas/Answer'}]}
            '400': {$ref: '#/components/responses/BadRequest'}
        """
        status, headers, body = answer_query(models, request.environ["QUERY_STRING"])
        return Response(body, status, headers)

    @app.post("/predict")
    def predict_batch() -> Response:
        """Predict the Volume of many days.
        ---
        post:
          operationId: predictMany
          summary: Predict up to 10,000 rows at once
          parameters:
            - quantiles
            - mean
          requestBody:
            required: true
            content:
              application/json:
                schema: {$ref: '#/components/schemas/Batch'}
              text/csv:
                schema: {$ref: '#/components/schemas/Csv'}
          responses:
            '200':
              description: The predicted Volumes in the order of the rows. CSV is answered with CSV, the rows with
                volume, low, high and in_range, then a column for each of the quantiles (quantile_0.1) and the mean, if
                they are asked for
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Predictions'}
                text/csv:
                  schema: {type: string}
            '400': {$ref: '#/components/responses/BadRequest'}
            '413': {$ref: '#/components/responses/TooLarge'}
            '415': {$ref: '#/components/responses/WrongType'}
        """
        is_csv = request.mimetype in CSV_TYPES
        if not is_csv and not request.is_json:
            abort(415)
        wanted = read_wanted_alone(request.args.to_dict(flat=False))
        body = request.get_data(cache=False)
        if is_csv:
            rows, detail = read_csv(body, CSV_TYPES[request.mimetype]), True
        else:
            rows, detail, more = read_batch(read_json(body))
            wanted = wanted.join(more)
        bundle = models.bundle
        if bundle is None:
            return replies.answer_not_ready(models)
        beside: dict[str, object] = {}
        if wanted and not bundle.model.spread:
            raise QuestionError(wanted.field, MISSING)
        if wanted and bundle.model.spread:
            beside = bundle.model.spread.describe(wanted, *rows)
        if not detail:
            return replies.answer_json({"predictions": bundle.model.predict_all(*rows), **beside}, bundle)
        answers = bundle.model.answer_all(*rows)
        if is_csv:
            response = Response(write_csv(rows, answers, beside), mimetype="text/csv")
            response.headers["X-Model-Version"] = bundle.version
            return response
        columns = {name: [getattr(answer, name) for answer in answers] for name in ("low", "high", "in_range")}
        return replies.answer_json({"predictions": [answer.volume for answer in answers], **columns, **beside}, bundle)


def write_csv(rows: Rows, answers: list[Answer], beside: Mapping[str, object]) -> str:
    """The rows as they were asked, each with its answer and what is told beside it.

    There are numbers alone, so that no field needs quotes. Column by column they are written in half the time that the
    module csv takes.
    """
    columns: dict[str, Iterable[str]] = {}
    for name, values in zip(FEATURES, rows, strict=True):
        columns[name] = map(format_given, values.tolist())
    for name in ("volume", "low", "high", "in_range"):
        columns[name] = [str(getattr(answer, name)) for answer in answers]
    columns["in_range"] = map(str.lower, columns["in_range"])
    quantiles, mean = beside.get("quantiles"), beside.get("mean")
    if isinstance(quantiles, dict):
        columns |= {f"quantile_{level}": map(str, shares) for level, shares in quantiles.items()}
    if isinstance(mean, list):
        columns["mean"] = map(str, mean)
    lines = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True)), ""]
    return "\r\n".join(lines)


def format_given(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else repr(value)
