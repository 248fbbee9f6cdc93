"""How published forecasts did: JSON for programs, a page for people."""

from flask import Flask, Response, render_template, request

from serving.forecast_routes import say_unknown
from serving.record_chart import draw_days
from serving.replies import answer_error, answer_json, answer_not_ready
from serving.track_record import KINDS, describe_nothing
from serving.watch import ModelWatch


def add_track_record(app: Flask, models: ModelWatch) -> None:
    @app.get("/track-record")
    def track_record() -> Response | str:
        """How the forecasts did that were published before their day.
        ---
        get:
          operationId: trackRecord
          summary: How published forecasts did against what came, over the last 20, 60 and 250 sessions
          responses:
            '200':
              description: The record, live forecasts and replayed ones apart; a page where text/html is preferred
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/TrackRecord'}
        """
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        record = bundle.track_record
        types = request.accept_mimetypes
        if types.best_match(["application/json", "text/html"]) == "text/html":
            charts = {kind: draw_days(record.summary[kind]["days"]) for kind in KINDS if record.summary[kind]}
            response = Response(render_template("track_record.html", record=record.summary, charts=charts))
        else:
            response = answer_json(record.summary, bundle)
        response.vary.add("Accept")
        return response

    @app.get("/track-record/<symbol>")
    def track_record_of_symbol(symbol: str) -> Response:
        """The last forecasts of a symbol against what came.
        ---
        get:
          operationId: trackRecordOfSymbol
          summary: The last forecasts of a symbol against what came
          parameters:
            - symbol
          responses:
            '200':
              description: Up to twenty days, oldest first, as columns; empty before the first is scored. With replay
                true they were forecast afterwards
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/PastForecasts'}
            '404': {$ref: '#/components/responses/NotFound'}
        """
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        found = bundle.track_record.find(symbol)
        if found is None:
            known = bundle.forecasts.find(symbol) if bundle.forecasts else None
            if known is None:
                return answer_error(404, say_unknown(symbol), "symbol")
            found = describe_nothing(known["symbol"])
        return answer_json(found, bundle)
