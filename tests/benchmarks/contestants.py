"""The ways to do the same work: each reads a corpus, writes prices and features, and prints what it took and found.

python -m tests.benchmarks.contestants NAME CORPUS WORK_FOLDER
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

WINDOW = 30
TITLES = {
    "floor": "floor: pyarrow parses and writes, no Spark, nothing checked",
    "polars": "Polars, file by file, then rolling over the whole column",
    "project": "the stages as one script",
    "notebooks": "run_all.py: four notebooks, naive, linear and grid trained",
    "pandas": "pandas with threads, then groupby-rolling",
    "plain_spark": "Spark, read.csv and window functions",
}
SPARK_SHARE = 32  # plain Spark gets one file in so many


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds


def list_files(corpus: Path) -> list[Path]:
    return sorted(corpus.glob("*/*.csv"), key=lambda path: path.stem)


def run_floor(corpus: Path, work: Path) -> dict:
    clock, files = Clock(), list_files(corpus)
    batches = [files[start : start + 250] for start in range(0, len(files), 250)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_batch, batches, [work / f"{number}.parquet" for number in range(len(batches))]))
    return {"ingest": clock.lap()}


def write_batch(files: list[Path], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    read = pa.csv.ReadOptions(use_threads=False)
    convert = pa.csv.ConvertOptions(column_types={"Volume": pa.float64(), "Date": pa.date32()})
    tables = [pa.csv.read_csv(file, read, convert_options=convert) for file in files]
    tables = [
        table.cast(pa.schema([(n, pa.float64() if n != "Date" else pa.date32()) for n in table.column_names]))
        for table in tables
    ]
    pa.parquet.write_table(pa.concat_tables(tables), path, compression="zstd", compression_level=1)


def run_polars(corpus: Path, work: Path) -> dict:
    import polars as pl

    clock, files = Clock(), list_files(corpus)
    names = pl.read_csv(corpus / "symbols_valid_meta.csv", columns=["NASDAQ Symbol", "Security Name"])
    prices = ["Open", "High", "Low", "Close", "Adj Close"]
    schema = {"Date": pl.Date, **dict.fromkeys([*prices, "Volume"], pl.Float64)}
    frames = []
    for file in files:
        frame = pl.read_csv(file, schema=schema)
        frames.append(
            frame.drop_nulls().with_columns(pl.lit(file.stem).alias("Symbol"), pl.col("Volume").cast(pl.Int64))
        )
    market = pl.concat(frames).join(
        names, left_on="Symbol", right_on="NASDAQ Symbol", how="left", maintain_order="left"
    )
    market.write_parquet(work / "prices.parquet", compression="zstd", compression_level=1)
    found = {"ingest": clock.lap(), "rows": market.height, "volume": market["Volume"].sum()}
    del market, frames
    clock.lap()
    market = pl.read_parquet(work / "prices.parquet")
    full = pl.col("Symbol") == pl.col("Symbol").shift(WINDOW - 1)
    mean = pl.col("Volume").rolling_mean(WINDOW)
    median = pl.col("Adj Close").rolling_median(WINDOW)
    market = market.with_columns(
        pl.when(full).then(mean).alias("vol_moving_avg"), pl.when(full).then(median).alias("adj_close_rolling_med")
    )
    market.write_parquet(work / "features.parquet", compression="zstd", compression_level=1)
    return found | {"features": clock.lap(), "medians": market["adj_close_rolling_med"].sum()}


def run_pandas(corpus: Path, work: Path) -> dict:
    import pandas as pd

    def read(file: Path) -> pd.DataFrame:
        return pd.read_csv(file, engine="pyarrow").assign(Symbol=file.stem)

    clock, files = Clock(), list_files(corpus)
    names = pd.read_csv(corpus / "symbols_valid_meta.csv")[["NASDAQ Symbol", "Security Name"]]
    with ThreadPoolExecutor() as pool:
        market = pd.concat(pool.map(read, files), ignore_index=True).dropna()
    market = market.merge(names, left_on="Symbol", right_on="NASDAQ Symbol", how="left")
    market["Volume"] = market["Volume"].astype("int64")
    market.to_parquet(work / "prices.parquet")
    found = {"ingest": clock.lap(), "rows": len(market), "volume": int(market["Volume"].sum())}
    by_symbol = market.groupby("Symbol", sort=False)
    market["vol_moving_avg"] = by_symbol["Volume"].rolling(WINDOW).mean().to_numpy()
    market["adj_close_rolling_med"] = by_symbol["Adj Close"].rolling(WINDOW).median().to_numpy()
    market.to_parquet(work / "features.parquet")
    return found | {"features": clock.lap(), "medians": float(market["adj_close_rolling_med"].sum())}


def run_plain_spark(corpus: Path, work: Path) -> dict:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    from pipeline.spark import open_spark

    files = list_files(corpus)[::SPARK_SHARE]
    share = sum(file.stat().st_size for file in files) / sum(file.stat().st_size for file in list_files(corpus))
    spark = open_spark("local[*]")
    spark.range(1).count()
    clock = Clock()
    schema = "Date date, Open double, High double, Low double, Close double, `Adj Close` double, Volume double"
    raw = spark.read.csv([str(file) for file in files], header=True, schema=schema).dropna()
    symbol = F.regexp_extract(F.input_file_name(), r"([^/]+)\.csv$", 1)
    raw.withColumn("Symbol", symbol).write.parquet(str(work / "prices"))
    found = {"ingest": clock.lap() / share}
    window = Window.partitionBy("Symbol").orderBy("Date").rowsBetween(1 - WINDOW, 0)
    market = spark.read.parquet(str(work / "prices"))
    mean, median = F.avg("Volume").over(window), F.percentile("Adj Close", 0.5).over(window)
    market = market.withColumn("vol_moving_avg", mean).withColumn("adj_close_rolling_med", median)
    market.write.parquet(str(work / "features"))
    found["features"] = clock.lap() / share
    spark.stop()
    return found | {"part": f"on {share:.1%} of the bytes, scaled up"}


def run_project(corpus: Path, work: Path) -> dict:
    from pyspark.sql import functions as F

    from pipeline.contract import FEATURES
    from pipeline.features import write_features
    from pipeline.ingest import publish_ingested, write_prices
    from pipeline.source import open_source
    from pipeline.spark import connect_server, open_spark, warm_up
    from pipeline.store import open_draft

    with connect_server("local[*]", work / "spark.log") as address:
        os.environ |= {"SPARK_REMOTE": address, "TQDM_DISABLE": "1"}
        warm_up(address)
        spark = open_spark("local[*]")
        clock = Clock()
        source = open_source("folder", str(corpus))
        prices, symbols, quarantine = (open_draft(work, name) for name in ("prices", "symbols", "quarantine"))
        ingested = write_prices(spark, source, prices, quarantine)
        versions = publish_ingested(ingested, prices, symbols, quarantine, {})
        found = {"ingest": clock.lap(), "rows": versions["prices"].rows}
        draft = open_draft(work, "features")
        parts = write_features(spark, versions["prices"], draft, WINDOW, "rows")
        features = draft.publish(parts, schema=FEATURES, parameters={}, inputs={"prices": versions["prices"].id})
        found["features"] = clock.lap()
        sums = features.read(spark).agg(F.sum("Volume"), F.sum("adj_close_rolling_med")).first()
        spark.stop()
    return found | {"volume": sums[0], "medians": sums[1]}


def run_notebooks(corpus: Path, work: Path) -> dict:
    options = {
        "SOURCE": "folder",
        "DATA_DIR": corpus,
        "MODELS": "naive,linear,grid",
        "NEXT_DAY": "false",
        "TUNNEL": "none",
    }
    command = [sys.executable, "run_all.py", "--params", "params/full.yaml", "--run-dir", str(work), "--quiet"]
    for name, value in options.items():
        command += ["-p", name, str(value)]
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    subprocess.run(command, check=True, env=environment)
    (run,) = work.glob("runs/*/run.json")
    stages = {stage["name"]: stage["seconds"] for stage in json.loads(run.read_text())["stages"]}
    return {"ingest": stages["ingest"], "features": stages["features"]}


CONTESTANTS: dict[str, Callable[[Path, Path], dict]] = {
    "floor": run_floor,
    "polars": run_polars,
    "project": run_project,
    "notebooks": run_notebooks,
    "pandas": run_pandas,
    "plain_spark": run_plain_spark,
}


if __name__ == "__main__":
    print(json.dumps(CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
