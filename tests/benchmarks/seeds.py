"""How much of the next day's skill is luck: python -m tests.benchmarks.seeds --run-dir DIR [--test-from DAY] [--runs 5]

Each run holds other symbols out, one in five, draws other rows to learn from, and grows trees by another seed. So five
runs judge strangers five times, and no symbol twice, or nearly none. Needs a folder in which a run has published
`features`, and no Spark: it reads the parts one by one.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.datasets.places import read_table
from pipeline.datasets.run_folder import RunFolder
from pipeline.forecasting.next_day import trees
from pipeline.forecasting.next_day.features import build_features
from pipeline.forecasting.next_day.judgement import Contestants, forecast_all
from pipeline.forecasting.next_day.market import average_market, sum_market
from pipeline.forecasting.next_day.parts import read_symbol_rows
from pipeline.forecasting.next_day.plan import ROLES, make_plan
from pipeline.forecasting.next_day.rows import NextDayRows, put_in_order
from pipeline.forecasting.next_day.survey import count_targets
from pipeline.forecasting.next_day.symbol_rows import SymbolRows
from pipeline.forecasting.next_day.targets import find_targets
from pipeline.forecasting.next_day.trading_calendar import open_calendar
from pipeline.forecasting.next_day.walk import learn_fold
from pipeline.forecasting.periods import EPOCH
from pipeline.forecasting.scores import Sums, add_up

NAMES = ["naive", "linear", "xgboost"]
ROWS, FOLDS = 1_000_000, 3  # as params/full.yaml has them


class Market:
    """The rows of a run's `features`, whose symbols have other numbers in each run: these decide who is held out, and
    which rows are drawn.
    """

    def __init__(self, run_dir: Path, test_from: date) -> None:
        run = RunFolder(str(run_dir))
        listed = read_table(run.current("symbols").files).to_pandas()
        self.files = run.current("features").files
        self.etfs = frozenset(listed.loc[listed["kind"] == "etf", "Symbol"])
        self.test_day = (test_from - EPOCH).days
        self.calendar = open_calendar((listed["last_date"].max() - EPOCH).days)
        self.market = average_market(sum(sum_market(rows, self.calendar) for rows in self.read(0)))

    def read(self, number: int) -> Iterator[SymbolRows]:
        """The parts, with the symbols' numbers of a run."""
        for file in self.files:
            rows, _, _ = read_symbol_rows(file, self.etfs)
            yield replace(rows, key=rows.key + number)

    def judge(self, number: int) -> Sums:
        """The sums of all models over the test of a run."""
        trees.SEED = number
        counts = sum(count_targets(rows, self.calendar, self.test_day)[0] for rows in self.read(number))
        plan, _ = make_plan(counts, self.calendar.days, self.test_day, FOLDS, refit=False)
        plan = plan.draw_at_most(ROWS, counts, self.calendar.days)
        plan = replace(plan, shares=(*plan.shares[:2], 1.0))
        found = {role: [] for role in ROLES}
        for rows in self.read(number):
            targets = find_targets(rows, self.calendar)
            known = np.flatnonzero(targets >= 0)
            for role, drawn in zip(ROLES, plan.draw(rows.symbol[known], rows.day[targets[known]]), strict=True):
                chosen = known[drawn]
                inputs = np.column_stack(list(build_features(rows, self.market, self.calendar, chosen).values()))
                day, volume = rows.day[targets[chosen]], rows.volume[targets[chosen]].astype(np.float64)
                found[role].append(NextDayRows(inputs, rows.symbol[chosen], day, volume))
        drawn = {role: put_in_order(parts, plan) for role, parts in found.items()}
        steps = [learn_fold(drawn, plan, fold, NAMES, "cpu") for fold in plan.folds]
        test = drawn["show"]
        contestants = [Contestants(step.fold, step.models, "xgboost", {}) for step in steps]
        return add_up(test.target, forecast_all(contestants, test.inputs, test.day)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="where a run has published features")
    parser.add_argument("--test-from", type=date.fromisoformat, default=date(2018, 1, 1))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    market, skills, total = Market(options.run_dir, options.test_from), [], None
    print("| run | rows | linear: skill | xgboost: skill | xgboost: R² of logs |\n|---|---|---|---|---|")
    for number in range(options.runs):
        sums = market.judge(number)
        total = sums if total is None else total + sums
        scores = sums.score()
        skills.append(scores["xgboost"]["skill"])
        print(tell(str(number + 1), scores), flush=True)
    print(tell("all together", total.score()))
    print(f"\nskill of xgboost: mean {np.mean(skills):.2%}, standard deviation {np.std(skills, ddof=1):.2%}")


def tell(label: str, scores: dict[str, dict[str, float]]) -> str:
    rows, best = scores["naive"]["rows"], scores["xgboost"]
    return f"| {label} | {rows:,} | {scores['linear']['skill']:.1%} | {best['skill']:.1%} | {best['log_skill']:.1%} |"


if __name__ == "__main__":
    main()
