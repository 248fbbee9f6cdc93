"""The web application: JSON for programs, a page for people.

`create_app` makes a WSGI application around a `ModelWatch`. What guards it against the world (link keys, rates,
counters) is `guard`; how it is served is `server`.
"""

import os
from collections.abc import Sequence

from flask import Flask

from serving.finishing import finish_answers
from serving.forecast_routes import add_forecasts
from serving.guard import Guard, PublicDoor
from serving.operations import add_operations
from serving.pages import add_pages
from serving.predictions import Shortcut, add_predictions
from serving.questions import LARGEST_BODY
from serving.shared import Shared, open_shared
from serving.track_record_routes import add_track_record
from serving.watch import ModelWatch

ORIGINS_VARIABLE = "ALLOW_ORIGINS"  # origins whose pages may ask this API, separated by commas; * for all


def create_app(models: ModelWatch, shared: Shared | None = None, doors: Sequence[PublicDoor] = ()) -> Flask:
    """The application that answers from `models`. shared: what it has in common with other processes of its server;
    doors: where visitors from outside come in.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.url_map.strict_slashes = False
    shared = shared or Shared()
    add_predictions(app, models)
    add_forecasts(app, models)
    add_track_record(app, models)
    add_operations(app, models, shared)
    add_pages(app, models)
    finish_answers(app)
    origins = [one.strip() for one in os.environ.get(ORIGINS_VARIABLE, "").split(",") if one.strip()]
    guard = Guard(Shortcut(app.wsgi_app, models), shared, doors, origins)
    app.wsgi_app = guard  # type: ignore[method-assign]
    return app


def make_app(run_dir: str) -> Flask:
    """For other servers, for example: gunicorn --workers 2 "serving.app:make_app('outputs/demo')"."""
    models = ModelWatch(run_dir)
    models.look()
    models.follow()
    return create_app(models, open_shared(run_dir))
