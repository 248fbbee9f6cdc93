"""Forecasts of symbols' next trading day: one, many, and the symbols that there are."""

from collections.abc import Mapping

from flask import Flask, Response, abort, request

from serving.questions import LONGEST_SYMBOL, SPREAD, QuestionError, read_json, read_symbols, read_wanted_alone
from serving.replies import answer_error, answer_json, answer_not_ready
from serving.spread import MISSING, describe_forecast
from serving.watch import ModelWatch

NO_FORECASTS = "This model has no forecasts of symbols: train it with NEXT_DAY true."


def add_forecasts(app: Flask, models: ModelWatch) -> None:
    @app.get("/forecast/<symbol>")
    def forecast(symbol: str) -> Response:
        """Forecast the Volume of a symbol's next trading day.
        ---
        get:
          operationId: forecast
          summary: Forecast the Volume of a symbol's next trading day
          parameters:
            - symbol
            - quantiles
            - mean
          responses:
            '200':
              description: The forecast, its interval, and what it was made from. Its ETag changes with the model.
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Forecast'}
            '304': {description: The forecast is still the one whose ETag was sent in If-None-Match}
            '400': {$ref: '#/components/responses/BadRequest'}
            '404': {$ref: '#/components/responses/NotFound'}
        """
        wanted, bundle = read_wanted_alone(request.args.to_dict(flat=False)), models.bundle
        if bundle is None:
            return answer_not_ready(models)
        if bundle.forecasts is None:
            return answer_error(404, NO_FORECASTS, "symbol")
        found = bundle.forecasts.find(symbol)
        if found is None:
            return answer_error(404, say_unknown(symbol), "symbol")
        told = describe_forecast(found, wanted)
        if told is None:
            return answer_error(404, MISSING, wanted.field)
        response = answer_json({**hide(found, *SPREAD), **told}, bundle)
        response.headers["Cache-Control"] = "private, no-cache"  # kept, and asked for whether it is still right
        response.set_etag(bundle.version, weak=True)
        response.make_conditional(request)
        return response

    @app.post("/forecast")
    def forecast_many() -> Response:
        """Forecast the next trading day of many symbols.
        ---
        post:
          operationId: forecastMany
          summary: Forecast the next trading day of up to 1,000 symbols
          parameters:
            - quantiles
            - mean
          requestBody:
            required: true
            content:
              application/json:
                schema: {$ref: '#/components/schemas/SymbolList'}
          responses:
            '200':
              description: The forecasts in the order of the symbols, without their recent days, and an error in the
                place of an unknown symbol
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Forecasts'}
            '400': {$ref: '#/components/responses/BadRequest'}
            '404': {$ref: '#/components/responses/NotFound'}
            '413': {$ref: '#/components/responses/TooLarge'}
            '415': {$ref: '#/components/responses/WrongType'}
        """
        if not request.is_json:
            abort(415)
        wanted = read_wanted_alone(request.args.to_dict(flat=False))
        symbols, more = read_symbols(read_json(request.get_data(cache=False)))
        wanted = wanted.join(more)
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        if bundle.forecasts is None:
            return answer_error(404, NO_FORECASTS, "symbols")
        answers: list[dict[str, object]] = []
        for symbol in symbols:
            found = bundle.forecasts.find(symbol)
            told = describe_forecast(found, wanted) if found else None
            if found is None or told is None:
                answers.append({"symbol": symbol, "error": MISSING if found else say_unknown(symbol)})
            else:
                answers.append({**hide(found, "recent", *SPREAD), **told})
        return answer_json({"forecasts": answers}, bundle)

    @app.get("/symbols")
    def list_symbols() -> Response:
        """Find symbols by the beginning of the symbol or a part of the name.
        ---
        get:
          operationId: symbols
          summary: Find symbols, at most twenty
          parameters:
            - in: query
              name: q
              required: false
              description: the beginning of a symbol, or a part of a name
              schema: {type: string, maxLength: 40}
              example: A
          responses:
            '200':
              description: Symbols with their names
              content:
                application/json:
                  schema: {$ref: '#/components/schemas/Symbols'}
              links:
                forecast:
                  operationId: forecast
                  parameters: {symbol: '$response.body#/symbols/0/symbol'}
                  description: The forecast of the first symbol found
            '400': {$ref: '#/components/responses/BadRequest'}
        """
        unknown = set(request.args) - {"q"}
        if unknown:
            raise QuestionError(min(unknown)[:LONGEST_SYMBOL], "The only parameter is q.")
        text = request.args.get("q", "")
        if len(text) > LONGEST_SYMBOL:
            raise QuestionError("q", f"q must not be longer than {LONGEST_SYMBOL} characters.")
        bundle = models.bundle
        if bundle is None:
            return answer_not_ready(models)
        return answer_json({"symbols": bundle.forecasts.complete(text) if bundle.forecasts else []}, bundle)


def hide(entry: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in entry.items() if name not in names}


def say_unknown(symbol: str) -> str:
    return f"There is no forecast for {symbol[:LONGEST_SYMBOL]!r}; /symbols?q= lists those there are."
