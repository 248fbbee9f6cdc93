"""The pages for people."""

import json
import math
from dataclasses import dataclass

from flask import Flask, render_template, request

from serving.bundle import TASKS, Bundle
from serving.openapi import ANYWHERE, describe_api
from serving.questions import SPREAD
from serving.table import FEATURES
from serving.watch import ModelWatch

EXAMPLE = ("1200000", "25")  # a day to ask for while there is no model that knows one


@dataclass(frozen=True)
class Score:
    """How a served model did against the naive answer, on days that it had not seen."""

    title: str
    model: str
    verdict: str  # "5.2% better"
    test_from: str


def add_pages(app: Flask, models: ModelWatch) -> None:
    app.add_template_filter(describe_gain, "gain")

    @app.context_processor
    def find_base() -> dict[str, str]:
        """Links are relative, so that they hold behind whatever prefix a proxy shows the server under."""
        return {"base": "../" * (request.path.count("/") - 1) or "./"}

    @app.get("/")
    def page() -> str:
        """The page for people."""
        bundle = models.bundle
        if bundle is None:
            return render_template("page.html", bundle=None, example=EXAMPLE)
        facts, example = bundle.manifest["model"], choose_example(bundle)
        return render_template("page.html", bundle=bundle, facts=facts, scores=score_model(bundle), example=example)

    @app.get("/docs")
    def docs() -> str:
        """The description of the API for people."""
        bundle = models.bundle
        symbols = [symbol for symbol, _ in bundle.forecasts.listing[:2]] if bundle and bundle.forecasts else ["AAPL"]
        day = dict(zip(FEATURES, choose_example(bundle) if bundle else EXAMPLE, strict=True))
        bodies = {
            "Batch": json.dumps({"rows": [{name: float(text) for name, text in day.items()}], "detail": True}),
            "Csv": "\n".join([",".join(FEATURES), ",".join(day.values()), ""]),
            "SymbolList": json.dumps({"symbols": symbols}),
        }
        examples = {**day, "symbol": symbols[0]}
        absent = () if bundle and has_spread(bundle) else SPREAD  # left out of the examples
        api = describe_api(app)
        return render_template("docs.html", api=api, anywhere=ANYWHERE, examples=examples, bodies=bodies, absent=absent)


def has_spread(bundle: Bundle) -> bool:
    """Whether all that the examples ask can be answered with quantiles and a mean."""
    first = bundle.forecasts.find(bundle.forecasts.listing[0][0]) if bundle.forecasts else None
    return bundle.model.spread is not None and set(SPREAD) <= set(first or SPREAD)


def choose_example(bundle: Bundle) -> tuple[str, str]:
    """A day as training has seen many: the middle symbol's last one, else the middle of the ranges, in few digits."""
    ranges = [bundle.model.ranges[name] for name in FEATURES]
    middle = tuple(math.sqrt(low * high) if low > 0 else high / 2 for low, high in ranges)
    typical = bundle.forecasts.typical if bundle.forecasts else None
    volume, price = typical if typical and bundle.model.is_in_range(*typical) else middle
    short = float(f"{volume:.3g}"), float(f"{price:.3g}")
    volume, price = short if bundle.model.is_in_range(*short) else (volume, price)
    return f"{volume:.0f}" if volume >= 100 else f"{volume:g}", f"{price:g}"


def score_model(bundle: Bundle) -> list[Score]:
    scores = []
    for task, title in zip(TASKS, ("Volume of a day", "Volume of the next day"), strict=True):
        facts = bundle.metrics.get(task)
        if not facts or "naive" not in facts["models"]:
            continue
        champion, naive = facts["models"].get(facts["champion"]), facts["models"]["naive"]
        if champion and naive["mae"]:
            gain = 1 - champion["mae"] / naive["mae"]
            scores.append(Score(title, facts["champion"], describe_gain(gain), facts["test_from"]))
    return scores


def describe_gain(gain: float) -> str:
    """A share of the error, as a reader says it."""
    if abs(gain) < 0.001:
        return "equal"
    return f"{abs(gain):.1%} {'better' if gain > 0 else 'worse'}"
