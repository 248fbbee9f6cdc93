#!/usr/bin/env python3
"""Run the four notebooks in order: python run_all.py [--params FILE] [-p NAME VALUE]... [--dry-run]

Exit codes: 0 done, 2 usage or parameters, 3 input missing or unusable, 4 quality gate, 5 resources (Java, memory,
disk), 6 another run holds the run folder, 7 a notebook failed, 8 serving, 124 time limit, 130 and 143 interrupted.
"""

import argparse
import sys
from pathlib import Path

# With this package at hand, what reads notebooks builds a grammar of internationalized web addresses before anything
# else, which takes longer than all other imports together. No notebook here needs it.
sys.modules["rfc3987_syntax"] = None

from pipeline.errors import PipelineError, ResourceError
from pipeline.runs.display import Display
from pipeline.runs.dry_run import explain_plan
from pipeline.runs.plan import Plan, make_plan
from pipeline.runs.runner import run_plan
from pipeline.runs.server import serve
from pipeline.stages import STAGES

ROOT = Path(__file__).parent


def read_arguments() -> argparse.Namespace:
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(description="Run the four notebooks in order.", epilog=__doc__.split("\n\n")[1])
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
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser.parse_args()


def main() -> int:
    options = read_arguments()
    display = Display(options.quiet)
    try:
        plan: Plan = make_plan(options.params, options.p, options.run_dir, options.first, options.last, options.only)
        if options.dry_run:
            explain_plan(plan, display, options.fresh)
            return 0
        result = run_plan(plan, display, options.fresh)
        display.end_run(result)
        return serve(plan) if options.serve and result.exit_code == 0 else result.exit_code
    except PipelineError as error:
        display.errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # a run folder that cannot be made, or no room for the first line in it
        what = f"error: {error}. Nothing was run: --run-dir must name a folder that can be written, with room in it."
        display.errors.print(what, style="red", markup=False, soft_wrap=True)
        return ResourceError.exit_code


if __name__ == "__main__":
    sys.exit(main())
