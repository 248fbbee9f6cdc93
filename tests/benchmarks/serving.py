"""How fast the server answers, against an empty Flask route on the same server, and against Flask's own server with a
scikit-learn forest behind a DataFrame a request. Each in turn, under `wrk`, 16 keep-alive connections.

    python tests/benchmarks/serving.py --run-dir outputs/demo

Needs wrk (apt-get install wrk). The load generator shares the machine's cores with the server, as for all servers here.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
QUESTION = "/predict?vol_moving_avg=1200000&adj_close_rolling_med=25"
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

EMPTY = """
import flask, sys, waitress
sys.setswitchinterval(0.001)  # threads, turns and reads as in serving/server.py
app = flask.Flask("empty")
app.get("/predict")(lambda: "1")
waitress.serve(app, host="127.0.0.1", port=PORT, threads=2, recv_bytes=262144)
"""
FOREST = """
import flask, joblib, numpy, pandas, tempfile
from sklearn.ensemble import RandomForestRegressor
random = numpy.random.default_rng(1)
volumes, prices = random.lognormal(13, 2, 1000), random.lognormal(3, 1, 1000)
rows = pandas.DataFrame({"vol_moving_avg": volumes, "adj_close_rolling_med": prices})
file = tempfile.NamedTemporaryFile()
joblib.dump(RandomForestRegressor(100, random_state=1).fit(rows, rows.vol_moving_avg), file.name)
model = joblib.load(file.name)
app = flask.Flask("forest")
@app.get("/predict")
def predict():
    row = {name: [float(flask.request.args[name])] for name in rows.columns}
    return str(int(model.predict(pandas.DataFrame(row))[0]))
import logging; logging.getLogger("werkzeug").disabled = True
app.run(port=PORT)
"""


def main() -> None:
    arguments = parse_arguments()
    servers = {
        "project": [sys.executable, "-m", "serving", "--run-dir", str(arguments.run_dir.absolute()), "--port", "8911"],
        "empty route, waitress": [sys.executable, "-c", EMPTY.replace("PORT", "8912")],
        "forest, Flask's server": [sys.executable, "-c", FOREST.replace("PORT", "8913")],
    }
    found = {name: [] for name in servers}
    ports = dict(zip(servers, (8911, 8912, 8913), strict=True))
    for _ in range(arguments.rounds):
        for name, command in servers.items():
            found[name].append(measure(command, f"http://127.0.0.1:{ports[name]}", arguments.seconds))
    print("| server | requests a second | median ms | p99 ms | ready s | resident MB |\n|---|---|---|---|---|---|")
    for name, results in found.items():
        rate, median, p99, ready, memory = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"| {name} | {rate:,.0f} | {median:.1f} | {p99:.1f} | {ready:.2f} | {memory:.0f} |")
    print(
        f"\n10,000 rows in one request: {time_batch(servers['project'], 'http://127.0.0.1:8911'):.0f} ms (median of 20)"
    )


def measure(command: list[str], url: str, seconds: int) -> tuple[float, ...]:
    """Requests a second, median and p99 in ms, seconds from start to the first answer, resident MB after the load."""
    with Running(command, url) as (process, ready):
        output = run_wrk(url, seconds)
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        median, p99 = (read_time(re.search(rf"\s{share}%\s+([\d.]+)(\w+)", output)) for share in (50, 99))
        assert "Non-2xx" not in output, output
        status = Path(f"/proc/{process.pid}/status").read_text()
        return rate, median, p99, ready, int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def run_wrk(url: str, seconds: int) -> str:
    command = ["wrk", "--latency", "-t1", "-c16", f"-d{seconds}s", url + QUESTION]
    subprocess.run([*command[:-2], "-d1s", command[-1]], check=True, capture_output=True)  # warm up
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_time(match: re.Match) -> float:
    return float(match[1]) * UNITS[match[2]]


class Running:
    """A server for as long as the block lasts, and how many seconds it took to answer."""

    def __init__(self, command: list[str], url: str) -> None:
        self.command, self.url = command, url

    def __enter__(self) -> tuple[subprocess.Popen, float]:
        start = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while self.process.poll() is None:
            try:
                requests.get(self.url + QUESTION, timeout=1)
                return self.process, time.perf_counter() - start
            except requests.ConnectionError:
                time.sleep(0.01)
        raise SystemExit(f"{' '.join(self.command)[:80]} ended with {self.process.returncode}")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()


def time_batch(command: list[str], url: str) -> float:
    rows = [{"vol_moving_avg": 100.0 * number, "adj_close_rolling_med": 25.5} for number in range(10_000)]
    with Running(command, url), requests.Session() as session:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            session.post(url + "/predict", json={"rows": rows}).raise_for_status()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--run-dir", type=Path, default=ROOT / "outputs/demo", help="run folder with a model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of load on each server in each round")
    if not shutil.which("wrk"):
        parser.error("needs wrk: apt-get install wrk")
    return parser.parse_args()


if __name__ == "__main__":
    main()
