"""What all answers of the application go through: headers, compression, and what becomes of errors."""

import gzip
import logging

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from serving.answers import PRIVATE
from serving.questions import LARGEST_BODY, QuestionError
from serving.replies import answer_error

log = logging.getLogger("serving")

PACKET = 1_400  # bytes: what is smaller gains nothing by compression
LARGE = 100_000  # bytes: what is larger is compressed in a hurry, since others wait meanwhile
COMPRESSIBLE = ("application/json", "text/", "image/svg+xml")

BODY_FAULTS = {
    400: "The body is not valid JSON.",
    413: f"The body is larger than {LARGEST_BODY:,} bytes: send fewer rows at a time.",
    415: "Send the header Content-Type: application/json, or text/csv for rows of CSV.",
}


def finish_answers(app: Flask) -> None:
    app.after_request(add_headers)
    app.after_request(compress)
    app.register_error_handler(QuestionError, answer_question_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_failure)


def add_headers(response: Response) -> Response:
    for name, value in PRIVATE.items():
        response.headers.setdefault(name, value)
    return response


def compress(response: Response) -> Response:
    """Send what is larger than a packet compressed to whoever takes it so."""
    if response.status_code != 200 or "Content-Encoding" in response.headers:
        return response
    if not (response.mimetype or "").startswith(COMPRESSIBLE):
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings.quality("gzip") or (response.content_length or 0) <= PACKET:
        return response
    response.direct_passthrough = False
    content = response.get_data()
    level = 5 if len(content) < LARGE else 1
    response.set_data(gzip.compress(content, compresslevel=level, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    return response


def answer_question_error(error: QuestionError) -> Response:
    return answer_error(400, str(error), error.field)


def answer_http_error(error: HTTPException) -> Response:
    """404, 405, 413, 415 and the like: a page for a browser, JSON for a program."""
    status = error.code or 500
    if status in BODY_FAULTS:
        response = answer_error(status, BODY_FAULTS[status], "body")
    else:
        what = f"{error.name}: {request.method} {request.path[:80]}."
        if "text/html" in request.headers.get("Accept", ""):
            response = Response(render_template("error.html", what=what), status, mimetype="text/html")
        else:
            response = answer_error(status, f"{what} /docs lists what there is.")
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def answer_failure(error: Exception) -> Response:
    log.exception("failed to answer %s %s", request.method, request.path)
    return answer_error(500, "The server failed to answer; its log says why.")
