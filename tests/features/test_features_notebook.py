"""02_features on data with nothing to show: short symbols, no Volume, numbers at the edge of what a double holds."""

import random

import pytest

from pipeline.datasets.run_folder import RunFolder
from pipeline.ingest.source import open_source
from tests.ingest.deliveries import deliver, make_delivery
from tests.ingest.notebook_cells import run_notebook
from tests.ingest.test_market_csv import make_lines

LINES = make_lines(random.Random(6), 120)


def with_volume(lines: list[bytes], volumes: list[int]) -> list[bytes]:
    return [line.rsplit(b",", 1)[0] + b",%d" % volume for line, volume in zip(lines, volumes, strict=True)]


def with_prices(lines: list[bytes], prices: list[bytes]) -> list[bytes]:
    return [
        b",".join([line.split(b",")[0], *[price] * 5, line.rsplit(b",", 1)[1]])
        for line, price in zip(lines, prices, strict=True)
    ]


EDGE = random.Random(7)
HUGE, TINY = [b"1.7e308", b"-1.6e308", b"1e300"], [b"4.9e-324", b"2e-320", b"1e-310"]
ODD = {
    "29 rows": {"$A_$": LINES[:29]},
    "one row": {"A": LINES[:1]},
    "no Volume": {"A": with_volume(LINES, [0] * 120), "B": with_volume(LINES, [0] * 120)},
    "odd volumes": {
        "A": with_volume(LINES, [EDGE.randrange(2**53) for _ in LINES]),
        "B": with_prices(LINES[:31], [b"0"] * 31),
    },
    "odd prices": {
        "A": with_prices(LINES, [str(EDGE.gauss(1, 99) ** 3).encode() for _ in LINES]),
        "B": with_prices(LINES[:90], [EDGE.choice(HUGE) for _ in range(90)]),
        "C": with_prices(LINES[:60], [EDGE.choice(TINY) for _ in range(60)]),
    },
}
QUICK = [("29 rows", "rows"), ("odd prices", "rows")]
CASES = [
    pytest.param(kind, rule, marks=() if (kind, rule) in QUICK else pytest.mark.slow)
    for kind in ODD
    for rule in ("rows", "calendar")
]


@pytest.mark.parametrize(("kind", "rule"), CASES)
def test_odd_data_have_features(spark, tmp_path, monkeypatch, kind, rule):
    files = {f"stocks/{symbol}.csv": b"\n".join([*lines, b""]) for symbol, lines in ODD[kind].items()}
    deliver(spark, tmp_path / "run", open_source("folder", str(make_delivery(tmp_path / "in", files))))
    run_notebook("02_features", monkeypatch, RUN_DIR=str(tmp_path / "run"), WINDOW_RULE=rule)
    features = RunFolder(tmp_path / "run").current("features")
    assert features.rows == sum(len(lines) for lines in ODD[kind].values())
