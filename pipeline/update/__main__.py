"""Bring a folder in the layout of the Kaggle set up to the last session that has closed.

python -m pipeline.update --data-dir FOLDER [--symbols FILE] [--rate REQUESTS_A_SECOND] [--full]
"""

import argparse
import os
import sys

from rich.console import Console

from pipeline.clock import read_clock, read_time
from pipeline.errors import ParameterError, PipelineError, ResourceError
from pipeline.signals import Interrupted, catch_signals
from pipeline.update.followed import read_symbols
from pipeline.update.market import RATE, update_folder
from pipeline.update.summary import show_result

EXIT_CODES = (
    "Exit codes: 0 done or nothing to do, 2 usage, 3 nobody can be reached, 4 too many symbols are not current, "
    "5 resources (disk, a missing library), 6 another update holds the folder, 130 and 143 interrupted."
)


class Screen(Console):
    """A terminal that somebody may close, or cut off with `| head`: the update goes on all the same."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end


def main() -> int:
    options = read_arguments()
    screen, errors = Screen(highlight=False), Console(stderr=True, highlight=False)
    try:
        with catch_signals():
            result = update_folder(
                options.data_dir,
                read_symbols(options.symbols, "--symbols") if options.symbols is not None else None,
                read_rate(options.rate),
                options.full,
                read_time(options.as_of, "--as-of") if options.as_of is not None else read_clock().now,
                lambda text: screen.print(text, markup=False, soft_wrap=True),
            )
        show_result(result, screen)
        result.check()
    except PipelineError as error:
        code, what = error.exit_code, str(error)
    except Interrupted as signalled:
        code = 128 + signalled.args[0]
        what = "interrupted; all files are whole, and the same command goes on from here."
    except OSError as error:
        code = ResourceError.exit_code
        what = f"{error}. All files are whole: mend that, and run the same command again."
    else:
        return 0
    errors.print(f"error: {what}", style="red", markup=False, soft_wrap=True)
    return code


def read_arguments() -> argparse.Namespace:
    about = "Bring a folder in the layout of the Kaggle set up to the last session that has closed."
    parser = argparse.ArgumentParser(prog="python -m pipeline.update", description=about, epilog=EXIT_CODES)
    parser.add_argument("--data-dir", required=True, metavar="FOLDER", help="or its URL; begun if it is not there")
    parser.add_argument("--symbols", metavar="FILE", help="only these, a symbol a line; or a list: AAPL,BRK.B,^GSPC")
    help_rate = f"requests a second at most; default {RATE:g}, two in five seconds"
    parser.add_argument("--rate", default=str(RATE), metavar="NUMBER", help=help_rate)
    parser.add_argument("--full", action="store_true", help="fetch all rows, for a first catch-up after years")
    parser.add_argument("--as-of", metavar="TIME", help="what now is, for replays: 2021-01-27T20:15-05:00")
    return parser.parse_args()


def read_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ParameterError(f"--rate {text}: give a number above 0, for example {RATE:g}.")
    return rate


if __name__ == "__main__":
    sys.exit(main())
