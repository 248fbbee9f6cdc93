"""How fast the server answers, against an empty Flask route on the same server, against FastAPI with an empty route,
and against waitress with a scikit-learn forest behind a DataFrame for each request. All in turn, under wrk, with 1 to
256 keep-alive connections. Then ten times as many: what becomes of the good answers, and how soon a newcomer is told
that there is no place.

    pip install -r tests/benchmarks/requirements.txt
    python tests/benchmarks/serving.py --run-dir outputs/demo

Needs wrk (apt-get install wrk). The load generator shares the machine's cores with the server, as for all servers here.
Run it on a machine that does nothing else.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parents[2]
QUESTION = "/predict?vol_moving_avg=1200000&adj_close_rolling_med=25"
CONNECTIONS = (1, 16, 64, 128, 256)
OVERLOAD = 10 * CONNECTIONS[-1]
NEWCOMERS = 300
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
WORKERS = os.cpu_count() or 1

EMPTY = """
import flask
from serving.server import Server, listen
from serving.shared import Shared
class Nothing:
    look = follow = lambda self: None
app = flask.Flask("empty")
app.get("/predict")(lambda: "1")
server = Server(app, Nothing(), Shared(), [listen("127.0.0.1", PORT)], WORKERS)
server.start()
server.run(lambda: None)
"""
FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/predict")
async def predict(vol_moving_avg: float, adj_close_rolling_med: float) -> int:
    return 1
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
import waitress
waitress.serve(app, port=PORT, threads=4)
"""


@dataclass
class Contestant:
    """A server, and what was measured of it: by number of connections, a list over the rounds."""

    name: str
    port: int
    command: list[str]
    rates: dict[int, list[float]] = field(default_factory=dict)  # answers a second
    waits: dict[int, list[float]] = field(default_factory=dict)  # p99 in ms
    faults: int = 0  # answers that were none, and time-outs
    ready: list[float] = field(default_factory=list)  # seconds from the start to the first answer
    resident: list[float] = field(default_factory=list)  # MB of the largest process, after the load

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Overload:
    """What was seen with OVERLOAD connections."""

    waits: list[float]  # ms until newcomers were told that there is no place, ascending
    best: float  # good answers a second, without overload
    good: float  # the same with it
    refused: float  # a second
    memory: float  # MB of all processes before
    grown: float  # MB that came to it
    again: float  # good answers a second in the two seconds after


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fastapi_empty.py").write_text(FASTAPI)
        contestants = list_contestants(arguments.run_dir, folder)
        for number in range(arguments.rounds):
            for one in contestants:
                print(f"round {number + 1}: {one.name}", file=sys.stderr, flush=True)
                measure(one, arguments.seconds)
        print_tables(contestants)
        print(f"\n10,000 rows in one request: {time_batch(contestants[0]):.0f} ms (median of 20)")
        print_overload([measure_overload(contestants[0]) for _ in range(arguments.rounds)])


def list_contestants(run_dir: Path, folder: str) -> list[Contestant]:
    python, workers = sys.executable, str(WORKERS)
    own = [python, "-m", "serving", "--run-dir", str(run_dir.absolute()), "--workers", workers, "--port", "8911"]
    uvicorn = [
        python,
        "-m",
        "uvicorn",
        "fastapi_empty:app",
        "--app-dir",
        folder,
        "--workers",
        workers,
        "--port",
        "8913",
    ]
    return [
        Contestant("this one, single predictions", 8911, own),
        Contestant("an empty Flask route on this server", 8912, [python, "-c", fill(EMPTY, 8912)]),
        Contestant("an empty FastAPI route on uvicorn", 8913, [*uvicorn, "--port", "8913", "--no-access-log"]),
        Contestant("a forest behind a DataFrame on waitress", 8914, [python, "-c", fill(FOREST, 8914)]),
    ]


def fill(code: str, port: int) -> str:
    return code.replace("PORT", str(port)).replace("WORKERS", str(WORKERS))


def measure(one: Contestant, seconds: int) -> None:
    with Running(one) as (process, ready):
        one.ready.append(ready)
        for connections in CONNECTIONS:
            output = run_wrk(one.url, connections, seconds)
            one.faults += count_refused(output) + sum(map(int, re.findall(r"timeout (\d+)", output)))
            p99 = re.search(r"\s99%\s+([\d.]+)(\w+)", output)
            one.rates.setdefault(connections, []).append(read_rate(output))
            one.waits.setdefault(connections, []).append(float(p99[1]) * UNITS[p99[2]])
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        one.resident.append(max(member.memory_info().rss for member in family) / 1e6)


def run_wrk(url: str, connections: int, seconds: int, warm_up: bool = True) -> str:
    command = ["wrk", "--latency", "-t1", f"-c{connections}"]
    if warm_up:
        subprocess.run([*command, "-d1s", url + QUESTION], check=True, capture_output=True)
    return subprocess.run(
        [*command, f"-d{seconds}s", url + QUESTION], check=True, capture_output=True, text=True
    ).stdout


def count_refused(output: str) -> int:
    """Answers that were none, by what wrk prints."""
    return sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", output)))


def read_rate(output: str) -> float:
    """Good answers a second."""
    requests_, seconds = re.search(r"(\d+) requests in ([\d.]+)s", output).groups()
    return (int(requests_) - count_refused(output)) / float(seconds)


def print_tables(contestants: list[Contestant]) -> None:
    heads = " | ".join(f"{connections} conn." for connections in CONNECTIONS)
    print(f"| requests a second (p99 in ms) | {heads} | faults | ready s | resident MB |")
    print("|---|" + "---|" * (len(CONNECTIONS) + 3))
    for one in contestants:
        cells = [
            f"{statistics.median(one.rates[count]):,.0f} ({statistics.median(one.waits[count]):.0f})"
            for count in CONNECTIONS
        ]
        last = f"{one.faults} | {statistics.median(one.ready):.2f} | {statistics.median(one.resident):.0f}"
        print(f"| {one.name} | {' | '.join(cells)} | {last} |")
    print(f"\n| {contestants[0].name}, as a multiple of | {heads} |\n|---|" + "---|" * len(CONNECTIONS))
    for other in contestants[1:]:
        cells = []
        for count in CONNECTIONS:
            pairs = zip(contestants[0].rates[count], other.rates[count], strict=True)
            ratios = [ours / theirs for ours, theirs in pairs if theirs]  # waitress answers nobody among so many
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        print(f"| {other.name} | {' | '.join(cells)} |")


class Running:
    """A server for as long as the block lasts, and how many seconds it took to answer."""

    def __init__(self, one: Contestant) -> None:
        self.one = one

    def __enter__(self) -> tuple[subprocess.Popen, float]:
        start = time.perf_counter()
        self.process = subprocess.Popen(
            self.one.command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while self.process.poll() is None:
            try:
                requests.get(self.one.url + QUESTION, timeout=1)
                return self.process, time.perf_counter() - start
            except requests.ConnectionError:
                time.sleep(0.01)
        raise SystemExit(f"{' '.join(self.one.command)[:80]} ended with {self.process.returncode}")

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait()


def time_batch(one: Contestant) -> float:
    rows = [{"vol_moving_avg": 100.0 * number, "adj_close_rolling_med": 25.5} for number in range(10_000)]
    with Running(one), requests.Session() as session:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            session.post(one.url + "/predict", json={"rows": rows}).raise_for_status()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure_overload(one: Contestant) -> Overload:
    """Newcomers come one after the other. wrk asks again at once, whatever it was told; and what takes it longer than
    two seconds, as being heard again does, it calls a time-out.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * OVERLOAD, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with Running(one) as (process, _):
        best = read_rate(run_wrk(one.url, CONNECTIONS[-1], 5))
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        memory = sum(member.memory_info().rss for member in family)
        command = ["wrk", "-t1", f"-c{OVERLOAD}", "-d10s", one.url + QUESTION]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            time.sleep(3)
            told = [ask_newly(one.port) for _ in range(NEWCOMERS)]
            output = load.communicate()[0]
        again = read_rate(run_wrk(one.url, CONNECTIONS[-1], 2, warm_up=False))
        grown = sum(member.memory_info().rss for member in family) - memory
    waits = sorted(wait for status, wait in told if status == 503)
    return Overload(waits, best, read_rate(output), count_refused(output) / 10, memory / 1e6, grown / 1e6, again)


def ask_newly(port: int) -> tuple[int, float]:
    """The status that a newcomer is answered with, and the milliseconds from connecting to the answer."""
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(f"GET {QUESTION} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = one.recv(4_096)
    return int(answer[9:12]), 1000 * (time.perf_counter() - start)


def print_overload(rounds: list[Overload]) -> None:
    print(f"\nwith {OVERLOAD:,} connections, which ask again at once when they are refused, {len(rounds)} rounds:")
    tell_each("good answers a second", [f"{seen.good:,.0f}" for seen in rounds])
    tell_each(f"of those with {CONNECTIONS[-1]}", [f"{seen.good / seen.best:.2f}" for seen in rounds])
    tell_each("in the two seconds after it", [f"{seen.again / seen.best:.2f}" for seen in rounds])
    tell_each("refusals a second", [f"{seen.refused:,.0f}" for seen in rounds])
    tell_each(f"newcomers of {NEWCOMERS} that were refused", [f"{len(seen.waits)}" for seen in rounds])
    waits = [seen.waits[int(0.99 * len(seen.waits))] for seen in rounds if seen.waits]
    tell_each("ms until 99 of 100 of them knew", [f"{wait:.0f}" for wait in waits])
    tell_each("MB of memory before", [f"{seen.memory:.0f}" for seen in rounds])
    tell_each("MB that came to it", [f"{seen.grown:+.0f}" for seen in rounds])


def tell_each(what: str, found: list[str]) -> None:
    """A line of what the rounds found, in their order."""
    print(f"- {what}: {', '.join(found)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--run-dir", type=Path, default=ROOT / "outputs/demo", help="run folder with a model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of load on each server, for each number of connections")
    if not shutil.which("wrk"):
        parser.error("needs wrk: apt-get install wrk")
    return parser.parse_args()


if __name__ == "__main__":
    main()
