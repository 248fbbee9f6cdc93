"""The server that goes on after a run."""

import signal
import subprocess
import sys

from pipeline.environment import ROOT, make_python_environment
from pipeline.runs.plan import Plan


def serve(plan: Plan) -> int:
    """Serve the run's model in a process of its own until Ctrl-C or SIGTERM. Returns its exit code."""
    command = [sys.executable, "-m", "serving", "--run-dir", str(plan.run), "--port", str(plan["PORT"])]
    command += ["--tunnel", plan["TUNNEL"]]
    with subprocess.Popen(command, cwd=ROOT, env=make_python_environment()) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            return server.wait()
        except KeyboardInterrupt:
            return server.wait()
