"""Fitting forward: in each fold the models that know the days before it, their champion, and its bands."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from pipeline.forecasting.evaluation import as_served
from pipeline.forecasting.next_day.bands import METHODS, Bands, Scale, calibrate_bands, learn_scale
from pipeline.forecasting.next_day.folds import Fold
from pipeline.forecasting.next_day.judgement import Contestants
from pipeline.forecasting.next_day.models import MANY, NextDayModel, fit_next_day
from pipeline.forecasting.next_day.plan import Plan
from pipeline.forecasting.next_day.rows import NextDayRows, select_learned
from pipeline.forecasting.scores import add_up

Drawn = dict[str, NextDayRows]  # by role, see rows.collect_rows
DAYS_OF_WEEK, MONDAY = 7, 3  # day 0 is a Thursday


@dataclass(frozen=True)
class Step:
    """What stands at the beginning of a fold: each model, fitted, and each scale that bands may be measured in."""

    fold: Fold
    models: dict[str, NextDayModel]
    scales: dict[str, Scale]

    def calibrate(self, name: str, methods: Sequence[str], rows: NextDayRows) -> dict[str, Bands]:
        """The bands of a model by method. rows: those of its calibration, see select_calibration."""
        told = self.models[name].forecast(rows.inputs)
        return {method: calibrate_bands(method, self.scales[method], rows, told) for method in methods}


def walk_forward(drawn: Drawn, plan: Plan, names: Sequence[str], device: str) -> Iterator[Step]:
    """The folds one after the other, each with what can be learned before it."""
    for fold in plan.folds:
        yield learn_fold(drawn, plan, fold, names, device)


def learn_fold(
    drawn: Drawn, plan: Plan, fold: Fold, names: Sequence[str], device: str, methods: Sequence[str] = METHODS
) -> Step:
    """The named models, and the scales of the methods, learned from what may be learned from before a fold; before
    `plan.latest`, which is what is published, from all. It grows as many trees as the first fold, which was judged.

    Trees of scales use one core for most of the time. So they grow beside the models.
    """
    first = select_learned(drawn["learn"], plan, plan.folds[0])
    rows = drawn["learn"] if fold == plan.latest else select_learned(drawn["learn"], plan, fold)
    with ThreadPoolExecutor(1) as beside:
        scales = beside.submit(lambda: {method: learn_scale(method, rows, device) for method in methods})
        models = {name: fit_next_day(name, rows, device, len(first) > MANY) for name in names}
        return Step(fold, models, scales.result())


def select_calibration(drawn: Drawn, fold: Fold) -> NextDayRows:
    """The drawn rows of the year before a fold, of symbols that judge."""
    return drawn["calibrate"].select(fold.calibrates(drawn["calibrate"].day))


def enter(step: Step, drawn: Drawn, champion: str, methods: Sequence[str]) -> Contestants:
    """Who is judged in a fold: all models, and the champion's bands by each method, calibrated on the year before."""
    before = select_calibration(drawn, step.fold)
    return Contestants(step.fold, step.models, champion, step.calibrate(champion, methods, before))


def add_weekly_errors(models: dict[str, NextDayModel], rows: NextDayRows) -> dict[str, np.ndarray]:
    """The sum of each model's absolute errors in each week that has rows, as choose_champion takes them."""
    weeks = np.unique((rows.day + MONDAY) // DAYS_OF_WEEK, return_inverse=True)[1]
    return {
        name: np.bincount(weeks, np.abs(as_served(model.forecast(rows.inputs)) - rows.target))
        for name, model in models.items()
    }


def score_rows(models: dict[str, NextDayModel], rows: NextDayRows) -> dict[str, dict[str, float]]:
    """The scores of each model on rows at hand; the naive one must be among them."""
    return add_up(rows.target, {name: model.forecast(rows.inputs) for name, model in models.items()}).score()


def fit_published(
    drawn: Drawn, plan: Plan, last: Step, name: str, method: str, device: str
) -> tuple[NextDayModel, Bands]:
    """What is published: a model and its bands.

    With plan.refit the model learns from all symbols and days up to now. No day is then left on which it has not been
    fitted. So its bands take their steps from the last fold's model, which is the same but for the rows, on the last
    year. Without, both are the last fold's.
    """
    if not plan.refit:
        return last.models[name], last.calibrate(name, [method], select_calibration(drawn, last.fold))[method]
    newest = learn_fold(drawn, plan, plan.latest, [name], device, [method])
    bands = last.calibrate(name, [method], select_calibration(drawn, plan.latest))[method]
    return newest.models[name], replace(bands, scale=newest.scales[method])
