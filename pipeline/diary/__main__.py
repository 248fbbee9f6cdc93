"""The diary of forecasts: python -m pipeline.diary replay --run-dir DIR [--days 60]"""

import argparse
import os
import sys

from rich.console import Console

from pipeline.datasets.run_folder import RunFolder
from pipeline.diary.replay import replay
from pipeline.errors import ParameterError, PipelineError, ResourceError
from pipeline.reports.track_record import tell_window
from pipeline.signals import Interrupted, catch_signals
from pipeline.spark.session import open_spark

EXIT_CODES = (
    "Exit codes: 0 done or nothing to do, 2 usage, 3 no features, model or history, 5 resources (Java, memory, disk), "
    "6 a run holds the run folder, 130 and 143 interrupted."
)
MOST_DAYS = 250  # the longest window of the track record


def main() -> int:
    options = read_arguments()
    screen, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        with catch_signals():
            run_replay(options, screen)
    except PipelineError as error:
        code, what = error.exit_code, str(error)
    except Interrupted as signalled:
        code, what = 128 + signalled.args[0], "interrupted; the diary is as it was, or whole with the replay in it."
    except OSError as error:
        code, what = ResourceError.exit_code, f"{error}. The diary is whole: mend that, and run the same command again."
    else:
        return 0
    errors.print(f"error: {what}", style="red", markup=False, soft_wrap=True)
    return code


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.diary", description="The diary of forecasts in a run folder.", epilog=EXIT_CODES
    )
    commands = parser.add_subparsers(dest="command", required=True)
    about = "fill the diary from the past, as the daily run would have; marked as a replay wherever it is shown"
    one = commands.add_parser("replay", help=about, description=about)
    one.add_argument("--run-dir", required=True, metavar="DIR", help="the folder of a run that has trained a model")
    one.add_argument("--days", type=int, default=60, metavar="NUMBER", help="sessions to replay; default 60")
    one.add_argument("--master", default="local[*]", help="where Spark runs; default local[*]")
    return parser.parse_args()


def run_replay(options: argparse.Namespace, screen: Console) -> None:
    if not 1 <= options.days <= MOST_DAYS:
        raise ParameterError(f"--days {options.days}: give a number from 1 to {MOST_DAYS}.")
    run = RunFolder(options.run_dir)
    run.current("features")  # before Spark starts
    os.environ.setdefault("TQDM_DISABLE", "" if screen.is_terminal else "1")
    with run.hold():
        spark = open_spark(options.master)
        try:
            noted = replay(spark, run, options.days, lambda text: screen.print(text, markup=False, soft_wrap=True))
        finally:
            spark.stop()
        told = tell_window(run.current("model"), "replay", str(options.days))
    screen.print(f"{noted:,} forecasts noted. {told}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
