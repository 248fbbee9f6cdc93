"""The web application: JSON for programs, a page for people.

`create_app` makes a WSGI application around a `ModelWatch`. What guards it against the world
(link keys, rates, overload) is `guard`.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from flask import Flask, Response, abort, jsonify, render_template, request
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException

from serving.bundle import Bundle
from serving.guard import Guard
from serving.openapi import describe_api
from serving.questions import QuestionError, read_batch, read_query
from serving.watch import ModelWatch

log = logging.getLogger("serving")

LARGEST_BODY = 2 * 2**20  # bytes: a batch of 10,000 rows with all their digits
LONGEST_SYMBOL_TEXT = 40

BODY_FAULTS = {
    400: "The body is not valid JSON.",
    413: f"The body is larger than {LARGEST_BODY:,} bytes: send fewer rows at a time.",
    415: "Send the rows as JSON, with the header Content-Type: application/json.",
}

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; "
    # The notebook that started the server shows the page in a frame, from another port or from Colab.
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* https://*.colab.dev https://*.googleusercontent.com",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(models: ModelWatch) -> Flask:
    """The application that answers from `models`. Its `guard` may be told of a tunnel's port and key."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False
    app.json.compact = True
    app.guard = Guard(app.wsgi_app, CollectorRegistry())
    app.wsgi_app = app.guard
    add_predictions(app, models)
    add_forecasts(app, models)
    add_operations(app, models)
    add_pages(app, models)
    app.after_request(add_security)
    app.register_error_handler(QuestionError, answer_question_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_failure)
    return app


def make_app(run_dir: str) -> Flask:
    """For other servers, for example: gunicorn --workers 2 "serving.app:make_app('outputs/demo')"."""
    models = ModelWatch(Path(run_dir))
    models.look()
    models.follow()
    return create_app(models)


def add_predictions(app: Flask, models: ModelWatch) -> None:
    @app.get("/predict")
    def predict_one() -> Response:
        """Predict the Volume of a day from the two features.
        ---
        get:
          summary: Predict the Volume of a day from its two features
          parameters:
            - vol_moving_avg
            - adj_close_rolling_med
            - detail
          responses:
            '200':
              description: The predicted Volume in shares; with detail=true the object
              content:
                application/json:
                  schema: {oneOf: [{type: integer, minimum: 0}, {$ref: '#/components/schemas/Answer'}]}
            '400': {$ref: '#/components/responses/BadRequest'}
            '503': {$ref: '#/components/responses/NotReady'}
        """
        volume, price, detail = read_query(parse_qs(request.environ["QUERY_STRING"], keep_blank_values=True))
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        answer = bundle.model.answer(volume, price)
        if not detail:
            return name_version(Response(f"{answer.volume}\n", mimetype="application/json"), bundle)
        return name_version(jsonify(**vars(answer), model=name_model(bundle)), bundle)

    @app.post("/predict")
    def predict_batch() -> Response:
        """Predict the Volume of many days.
        ---
        post:
          summary: Predict up to 10,000 rows at once
          requestBody:
            required: true
            content:
              application/json:
                schema: {$ref: '#/components/schemas/Batch'}
          responses:
            '200':
              description: The predicted Volumes in the order of the rows
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Predictions'}
            '400': {$ref: '#/components/responses/BadRequest'}
            '413': {$ref: '#/components/responses/TooLarge'}
            '415': {$ref: '#/components/responses/BadRequest'}
            '503': {$ref: '#/components/responses/NotReady'}
        """
        volumes, prices = read_batch(read_json())
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        answers = bundle.model.answer_all(np.array(volumes), np.array(prices))
        return name_version(jsonify(predictions=[answer.volume for answer in answers]), bundle)


def add_forecasts(app: Flask, models: ModelWatch) -> None:
    @app.get("/forecast/<symbol>")
    def forecast(symbol: str) -> Response:
        """Forecast the Volume of a symbol's next trading day.
        ---
        get:
          summary: Forecast the Volume of a symbol's next trading day
          parameters:
            - {in: path, name: symbol, required: true, schema: {type: string}, example: AAPL}
          responses:
            '200':
              description: The forecast, its interval, and what it was made from
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Forecast'}
            '404': {$ref: '#/components/responses/NotFound'}
            '503': {$ref: '#/components/responses/NotReady'}
        """
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        if bundle.forecasts is None:
            return answer_error(404, "This model has no forecasts of symbols: train it with NEXT_DAY true.", "symbol")
        found = bundle.forecasts.find(symbol)
        if found is None:
            shown = symbol[:LONGEST_SYMBOL_TEXT]
            return answer_error(
                404, f"There is no forecast for {shown!r}; /symbols?q= lists those there are.", "symbol"
            )
        return name_version(jsonify(found), bundle)

    @app.get("/symbols")
    def list_symbols() -> Response:
        """Find symbols by the beginning of the symbol or a part of the name.
        ---
        get:
          summary: Find symbols, at most twenty
          parameters:
            - {in: query, name: q, required: false, schema: {type: string, maxLength: 40}, example: AA}
          responses:
            '200':
              description: Symbols with their names
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Symbols'}
            '400': {$ref: '#/components/responses/BadRequest'}
            '503': {$ref: '#/components/responses/NotReady'}
        """
        unknown = set(request.args) - {"q"}
        if unknown:
            raise QuestionError(min(unknown), "The only parameter is q.")
        text = request.args.get("q", "")
        if len(text) > LONGEST_SYMBOL_TEXT:
            raise QuestionError("q", f"q must not be longer than {LONGEST_SYMBOL_TEXT} characters.")
        if models.bundle is None:
            return answer_not_ready(models)
        forecasts = models.bundle.forecasts
        return jsonify(symbols=forecasts.complete(text) if forecasts else [])


def add_operations(app: Flask, models: ModelWatch) -> None:
    @app.get("/health")
    def health() -> Response:
        """Whether the server runs.
        ---
        get:
          summary: The server runs
          responses:
            '200': {description: It does, content: {application/json: {schema: {type: object}}}}
        """
        return jsonify(status="ok")

    @app.get("/ready")
    def ready() -> Response:
        """Whether a model is loaded, which one, and which were refused.
        ---
        get:
          summary: A model is loaded
          responses:
            '200': {description: Its version, content: {application/json: {schema: {type: object}}}}
            '503': {$ref: '#/components/responses/NotReady'}
        """
        if models.bundle is None:
            return answer_not_ready(models)
        return jsonify(status="ready", model=name_model(models.bundle), refused=models.refused)

    @app.get("/metrics")
    def metrics() -> Response:
        """Counters for Prometheus. Not reachable through a tunnel."""
        return Response(app.guard.expose(), mimetype="text/plain")

    @app.get("/openapi.json")
    def openapi() -> Response:
        """The description of this API.
        ---
        get:
          summary: This description
          responses:
            '200': {description: OpenAPI 3, content: {application/json: {schema: {type: object}}}}
        """
        return jsonify(describe_api(app))


def add_pages(app: Flask, models: ModelWatch) -> None:
    @app.get("/")
    def page() -> str:
        """The page for people."""
        bundle = models.bundle
        facts = bundle.manifest["model"] if bundle else None
        scores = score_model(bundle) if bundle else []
        return render_template("page.html", bundle=bundle, facts=facts, scores=scores)

    @app.get("/docs")
    def docs() -> str:
        """The description of the API for people."""
        return render_template("docs.html", api=describe_api(app))


def score_model(bundle: Bundle) -> list[dict[str, Any]]:
    """How much smaller the errors of the served models are than those of the naive answer, for the page."""
    scores = []
    for task, title in (("same_day", "Volume of a day"), ("next_day", "Volume of the next day")):
        facts = bundle.metrics.get(task)
        if not facts or "naive" not in facts["models"]:
            continue
        champion, naive = facts["models"].get(facts["champion"]), facts["models"]["naive"]
        if champion:
            gain = 1 - champion["mae"] / naive["mae"]
            scores.append({"title": title, "model": facts["champion"], "gain": gain, "test_from": facts["test_from"]})
    return scores


def read_json() -> Any:
    if not request.is_json:
        abort(415)
    try:
        return json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        abort(400)


def name_version(response: Response, bundle: Bundle) -> Response:
    response.headers["X-Model-Version"] = bundle.version
    return response


def name_model(bundle: Bundle) -> dict[str, str]:
    return {"name": bundle.champion, "version": bundle.version}


def add_security(response: Response) -> Response:
    response.headers.update(SECURITY)
    if request.path != "/static" and not request.path.startswith("/static/"):
        response.headers["Cache-Control"] = "no-store"
    return response


def answer_question_error(error: QuestionError) -> Response:
    return answer_error(400, str(error), error.field)


def answer_http_error(error: HTTPException) -> Response:
    """404, 405, 413, 415 and the like, as JSON."""
    status = error.code or 500
    if status in BODY_FAULTS:
        response = answer_error(status, BODY_FAULTS[status], "body")
    else:
        response = answer_error(
            status, f"{error.name}: {request.method} {request.path[:80]}. /docs lists what there is."
        )
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def answer_failure(error: Exception) -> Response:
    log.exception("failed to answer %s %s", request.method, request.path)
    return answer_error(500, "The server failed to answer; its log says why.")


def answer_not_ready(models: ModelWatch) -> Response:
    why: Sequence[str] = list(models.refused.values())
    response = answer_error(503, why[-1] if why else "No model is loaded yet.")
    response.headers["Retry-After"] = "2"
    return response


def answer_error(status: int, message: str, field: str | None = None) -> Response:
    response = jsonify(error=message, **({"field": field} if field else {}))
    response.status_code = status
    return response
