"""What those who run the server ask: does it live, is it ready, what has it done, how is it called."""

from flask import Flask, Response, request

from serving.openapi import describe_api
from serving.replies import answer_json, answer_not_ready, name_model
from serving.shared import Shared
from serving.watch import ModelWatch


def add_operations(app: Flask, models: ModelWatch, shared: Shared) -> None:
    @app.get("/health")
    def health() -> Response:
        """Whether the server runs.
        ---
        get:
          operationId: health
          summary: The server runs
          responses:
            '200': {description: The server runs, content: {application/json: {schema: {type: object}}}}
        """
        return answer_json({"status": "ok"})

    @app.get("/ready")
    def ready() -> Response:
        """Whether a model is loaded, which one, which were refused, and what speaks against it by its live record.
        ---
        get:
          operationId: ready
          summary: A model is loaded
          responses:
            '200': {description: Its version, content: {application/json: {schema: {type: object}}}}
        """
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        return answer_json(
            {
                "status": "ready",
                "model": name_model(bundle),
                "refused": models.refused,
                "doubts": bundle.track_record.doubts,
            }
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Counters for Prometheus, one sum over all processes. Not reachable through a tunnel."""
        return Response(shared.expose(), mimetype="text/plain")

    @app.get("/openapi.json")
    def openapi() -> Response:
        """The description of this API.
        ---
        get:
          operationId: description
          summary: This description
          responses:
            '200': {description: OpenAPI 3, content: {application/json: {schema: {type: object}}}}
        """
        return answer_json(describe_api(app, request.script_root))
