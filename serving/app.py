"""The Flask application: every address it answers, and what it says when it cannot."""

import json
import logging
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from flask import Flask, Response, abort, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from werkzeug.exceptions import HTTPException

from serving.bundle import Answer, Bundle
from serving.description import describe_api, write_docs_page
from serving.questions import QuestionError, read_batch, read_query
from serving.watch import ModelWatch

LONGEST_ADDRESS = 8 * 1024  # bytes of path and query
LARGEST_BODY = 4 * 1024 * 1024  # bytes; 10,000 rows take about 1 MB
HEADERS = {
    # Frames: the notebook that started the server shows the page, on this machine or on Colab.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self' http://localhost:* "
    "http://127.0.0.1:* https://colab.research.google.com https://*.googleusercontent.com",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

log = logging.getLogger("serving")


def create_app(run_dir: Path | str) -> Flask:
    """The application over a run folder's current model, which it follows. Not ready as long as there is no good model.

    Under gunicorn: `gunicorn --workers 2 'serving.app:create_app("outputs/demo")'`.
    """
    app = Flask("serving", static_folder=str(Path(__file__).parent / "static"))
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    watch = ModelWatch(run_dir)
    watch.look()
    watch.follow()
    app.extensions["model_watch"] = watch
    add_answers(app, watch)
    add_state(app, watch)
    add_documents(app)
    count_requests(app)
    app.before_request(refuse_long_address)
    app.after_request(add_headers)
    app.register_error_handler(QuestionError, refuse_question)
    app.register_error_handler(HTTPException, tell_http_error)
    app.register_error_handler(Exception, tell_failure)
    return app


def add_answers(app: Flask, watch: ModelWatch) -> None:
    @app.get("/predict")
    def predict() -> Response:
        bundle = get_bundle(watch)
        volume, price, detail = read_query(parse_arguments())
        answer = bundle.model.answer(volume, price)
        return reply(describe_answer(answer, bundle) if detail else answer.volume, bundle)

    @app.post("/predict")
    def predict_batch() -> Response:
        bundle = get_bundle(watch)
        volumes, prices = read_batch(read_json())
        answers = bundle.model.answer_all(np.array(volumes), np.array(prices))
        return reply({"predictions": [answer.volume for answer in answers]}, bundle)

    @app.get("/forecast/<path:symbol>")
    def forecast(symbol: str) -> Response:
        bundle = get_bundle(watch)
        if bundle.forecasts is None:
            abort(404, "This model has no forecasts for the next day: train with NEXT_DAY = True.")
        entry = bundle.forecasts.find(symbol)
        if entry is None:
            abort(404, f"There is no symbol {symbol[:40]!r} in this model: GET /symbols?q= finds one.")
        return reply({**entry, "method": entry["model"], "model": bundle.version}, bundle)

    @app.get("/symbols")
    def symbols() -> Response:
        bundle = get_bundle(watch)
        values = parse_arguments().get("q", [""])
        if len(values) > 1:
            raise QuestionError("q", f"q is given {len(values)} times; give it once.")
        found = bundle.forecasts.complete(values[0]) if bundle.forecasts else []
        return reply({"symbols": found}, bundle)


def add_state(app: Flask, watch: ModelWatch) -> None:
    @app.get("/health")
    def health() -> Response:
        return reply({"status": "ok"})

    @app.get("/ready")
    def ready() -> Response:
        version = watch.bundle.version if watch.bundle else None
        response = reply({"ready": version is not None, "model": version, "refused": watch.refused})
        response.status_code = 200 if version else 503
        return response

    @app.get("/model")
    def model() -> Response:
        bundle = get_bundle(watch)
        facts = bundle.manifest["model"]
        return reply(
            {
                "model": bundle.version,
                "champion": bundle.champion,
                "ranges": facts["ranges"],
                "trained": facts["trained"],
                "interval": facts["interval"],
                "metrics": bundle.metrics,
                "symbols": len(bundle.forecasts.listing) if bundle.forecasts else 0,
            },
            bundle,
        )


def add_documents(app: Flask) -> None:
    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/openapi.json")
    def openapi() -> Response:
        return reply(describe_api())

    @app.get("/docs")
    def docs() -> Response:
        return Response(write_docs_page(), mimetype="text/html")


def count_requests(app: Flask) -> None:
    """Count and time requests by address pattern and status, for GET /metrics."""
    registry = CollectorRegistry()
    requests = Counter("requests", "Requests answered", ["path", "status"], registry=registry)
    seconds = Histogram("request_seconds", "Time to answer, without the queue", ["path"], registry=registry)

    @app.before_request
    def start_clock() -> None:
        g.started = perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        path = request.url_rule.rule if request.url_rule else "other"
        requests.labels(path, response.status_code).inc()
        seconds.labels(path).observe(perf_counter() - g.started)
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def get_bundle(watch: ModelWatch) -> Bundle:
    """The bundle that answers this request from beginning to end."""
    if watch.bundle is None:
        abort(503, "No model is loaded yet; GET /ready tells why.")
    return watch.bundle


def describe_answer(answer: Answer, bundle: Bundle) -> dict[str, Any]:
    return {
        "volume": answer.volume,
        "low": answer.low,
        "high": answer.high,
        "in_range": answer.in_range,
        "model": bundle.version,
    }


def parse_arguments() -> dict[str, list[str]]:
    """All values of each name in the query. Strings that are not UTF-8 come out as such, and are refused as numbers."""
    return parse_qs(request.environ["QUERY_STRING"], keep_blank_values=True, max_num_fields=100)


def read_json() -> Any:
    if not request.is_json:
        abort(415, "Send the body as application/json.")
    try:
        return json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        abort(400, "The body is not valid JSON.")


def reply(content: Any, bundle: Bundle | None = None) -> Response:
    """An answer in JSON; what a model answered names its version in a header."""
    response = Response(json.dumps(content), mimetype="application/json")
    if bundle:
        response.headers["X-Model-Version"] = bundle.version
    return response


def refuse_long_address() -> None:
    if len(request.environ["PATH_INFO"]) + len(request.environ["QUERY_STRING"]) > LONGEST_ADDRESS:
        abort(414, f"The address is longer than {LONGEST_ADDRESS:,} bytes: send rows by POST /predict.")


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def refuse_question(error: QuestionError) -> Response:
    response = reply({"error": str(error), "field": error.field})
    response.status_code = 400
    return response


def tell_http_error(error: HTTPException) -> Response:
    response = error.get_response()  # keeps Allow, Location and the like
    response.data = json.dumps({"error": error.description})
    response.content_type = "application/json"
    if error.code == 503:
        response.headers["Retry-After"] = "1"
    return response


def tell_failure(error: Exception) -> Response:
    log.exception("failed to answer %s %s", request.method, request.path)
    response = reply({"error": "The server failed to answer; its log says why."})
    response.status_code = 500
    return response
