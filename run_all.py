#!/usr/bin/env python3
"""Run the four notebooks in order: python run_all.py [--params FILE] [-p NAME VALUE]... [--dry-run]"""

import os
import sys


def begin_afresh() -> None:
    """Go on in an interpreter that nobody's variables and switches steer: without checks, in another alphabet, ended by
    any warning, with modules of others before our own. (Not in a cell of a notebook, which has only the one.)
    """
    closed = [number for number in (0, 1, 2) if not is_open(number)]
    for _ in closed:  # the next file that is opened would take its place
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    steered = any(name.startswith("PYTHON") for name in os.environ) or sys.flags.optimize or sys.warnoptions
    moved = "PYTHONHOME" in os.environ  # without it this Python would not find its own library
    if (closed or steered or sys.getfilesystemencoding() != "utf-8") and not moved:
        os.execv(sys.executable, [sys.executable, "-E", "-X", "utf8", "-W", "ignore", __file__, *sys.argv[1:]])


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__" and "IPython" not in sys.modules and not sys.flags.ignore_environment:
    begin_afresh()

import argparse
import atexit
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
if sys.flags.ignore_environment and not sys.flags.isolated:  # libraries may lie there, which shall hide none of ours
    theirs = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path += [str(Path(folder).absolute()) for folder in theirs]

# With this package at hand, what reads notebooks builds a grammar of internationalized web addresses before anything
# else, which takes longer than all other imports together. No notebook here needs it.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from pipeline.errors import PipelineError, ResourceError
from pipeline.runs.display import Display
from pipeline.runs.dry_run import explain_plan
from pipeline.runs.plan import Plan, make_plan
from pipeline.runs.results import RunResult
from pipeline.runs.runner import run_plan
from pipeline.runs.server import serve
from pipeline.stages import STAGES

EPILOG = """examples:
  run_all.py                                                       the demo, into outputs/demo
  run_all.py --params params/full.yaml                             the whole market, fetched from Kaggle
  run_all.py --params params/folder.yaml -p DATA_DIR ~/prices      your own folder of CSVs
  run_all.py --from train -p TEST_FROM 2015-01-01 --serve          train anew, then serve

exit codes: 0 done, 2 usage or parameters, 3 input missing or unusable, 4 quality gate, 5 resources (Java, memory,
disk), 6 another run holds the run folder, 7 a notebook failed, 8 serving, 124 time limit, 130 and 143 interrupted"""


def read_arguments() -> argparse.Namespace:
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(
        description="Run the four notebooks in order.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--params", type=Path, default=ROOT / "params" / "demo.yaml", metavar="FILE", help="parameters (YAML)"
    )
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="one parameter")
    parser.add_argument("--run-dir", metavar="DIR", help="default: outputs/<name of the params file>")
    parser.add_argument("--from", dest="first", metavar="STAGE", help=f"first stage: {', '.join(names)}")
    parser.add_argument("--to", dest="last", metavar="STAGE", help="last stage")
    parser.add_argument("--only", metavar="STAGE", help="one stage")
    parser.add_argument("--fresh", action="store_true", help="run every stage, also where nothing changed")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and why")
    parser.add_argument("--serve", action="store_true", help="afterwards serve the model until Ctrl-C")
    parser.add_argument("--port", metavar="PORT", help="port for --serve, 0 for any; the same as -p PORT")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    options = parser.parse_args()
    if options.port is not None:
        options.p.append(["PORT", options.port])
    return options


def main() -> int:
    options = read_arguments()
    display = Display(options.quiet)
    try:
        plan: Plan = make_plan(options.params, options.p, options.run_dir, options.first, options.last, options.only)
        if options.dry_run:
            explain_plan(plan, display, options.fresh)
            return 0
        result = run(plan, display, options.fresh)
        display.end_run(result)
        if options.serve and result.exit_code == 0:
            return serve(plan)
        return PipelineError.exit_code if result.exit_code is None else result.exit_code
    except PipelineError as error:
        display.fail(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        display.fail(str(error))
        return ResourceError.exit_code


def run(plan: Plan, display: Display, fresh: bool) -> RunResult:
    try:
        return run_plan(plan, display, fresh)
    except OSError as error:  # a run folder that cannot be made, or no room for the first line in it
        what = f"{error}. Nothing was run: --run-dir must name a folder that can be written, with room in it."
        raise ResourceError(what) from None


def let_go_of_output() -> None:
    """Write what is left for a reader who may be gone, as `head` is after a line: that is no failure."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    atexit.register(let_go_of_output)
    sys.exit(main())
