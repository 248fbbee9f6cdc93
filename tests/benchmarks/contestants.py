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
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
WINDOW = 30
TITLES = {
    "floor": "floor: pyarrow parses and writes, no Spark, nothing checked",
    "polars": "Polars, expert version: one scan, then rolling over the whole column",
    "duckdb": "DuckDB, window functions",
    "project": "the stages as one script: naive, linear and grid trained",
    "cells": "the notebooks' cells as one script",
    "notebooks": "run_all.py: the same cells in four kernels by papermill, and their records",
    "next_day": "the same with XGBoost and the next day",
    "pandas": "pandas with threads, groupby-rolling, then XGBoost",
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
    """As an expert would: one scan of all files, symbols as categories by the runs of the files' paths, and windows
    that roll over the whole column and are masked where they reach into the symbol before.
    """
    import numpy as np
    import polars as pl

    clock, files = Clock(), [file for file in list_files(corpus) if file.stat().st_size]
    names = pl.read_csv(corpus / "symbols_valid_meta.csv", columns=["NASDAQ Symbol", "Security Name"])
    named = dict(names.drop_nulls().iter_rows())
    schema = {"Date": pl.Date, **dict.fromkeys(["Open", "High", "Low", "Close", "Adj Close", "Volume"], pl.Float64)}
    market = pl.scan_csv(files, schema=schema, include_file_paths="path").drop_nulls()
    market = market.with_columns(pl.col("Volume").cast(pl.Int64)).collect()
    runs = market["path"].rle().struct.unnest()
    symbols = [Path(path).stem for path in runs["value"]]
    labels = list(dict.fromkeys(named[symbol] for symbol in symbols if symbol in named))
    codes = {label: code for code, label in enumerate(labels)}
    by_run = pl.Series([codes.get(named.get(symbol)) for symbol in symbols], dtype=pl.UInt32)
    rows = np.repeat(np.arange(len(symbols), dtype=np.uint32), runs["len"].to_numpy())
    market = market.drop("path").with_columns(
        pl.Series("Symbol", rows).cat.to(pl.Enum(symbols)),
        by_run.gather(rows).cat.to(pl.Enum(labels)).alias("Security Name"),
    )
    market.write_parquet(work / "prices.parquet", compression="zstd", compression_level=1)
    found = {"ingest": clock.lap(), "rows": market.height, "volume": market["Volume"].sum()}
    del market
    clock.lap()
    market = pl.read_parquet(work / "prices.parquet")
    symbol = pl.col("Symbol").to_physical()
    full = symbol == symbol.shift(WINDOW - 1)
    mean = pl.col("Volume").rolling_mean(WINDOW)
    median = pl.col("Adj Close").rolling_median(WINDOW)
    market = market.with_columns(
        pl.when(full).then(mean).alias("vol_moving_avg"), pl.when(full).then(median).alias("adj_close_rolling_med")
    )
    market.write_parquet(work / "features.parquet", compression="zstd", compression_level=1)
    return found | {"features": clock.lap()} | sum_up(market["vol_moving_avg"], market["adj_close_rolling_med"])


def sum_up(means, medians) -> dict:
    """What all contestants must agree on, from the two columns of features."""
    return {"means": float(means.sum()), "medians": float(medians.sum())}


def run_duckdb(corpus: Path, work: Path) -> dict:
    import duckdb

    clock, files = Clock(), [str(file) for file in list_files(corpus) if file.stat().st_size]
    session = duckdb.connect()
    numbers = ", ".join(f"'{name}': 'DOUBLE'" for name in ("Open", "High", "Low", "Close", "Adj Close", "Volume"))
    session.execute(
        f"""
        create table prices as
        select parse_filename(filename, true) as Symbol, m."Security Name", p.* exclude (filename, Volume),
               Volume::bigint as Volume
        from read_csv($files, columns={{'Date': 'DATE', {numbers}}}, header=true, filename=true) p
        left join (select distinct on ("NASDAQ Symbol") * from read_csv($names)) m
          on parse_filename(p.filename, true) = m."NASDAQ Symbol"
        where columns(['Date', 'Open', 'High', 'Low', 'Close', 'Adj Close', 'Volume']) is not null
        """,
        {"files": files, "names": str(corpus / "symbols_valid_meta.csv")},
    )
    session.execute(f"copy prices to '{work}/prices.parquet' (compression zstd, compression_level 1)")
    rows, volume = session.execute("select count(*), sum(Volume) from prices").fetchone()
    found = {"ingest": clock.lap(), "rows": rows, "volume": int(volume)}
    session.execute(
        f"""
        create table features as
        select *, case when row_number() over days >= {WINDOW} then avg(Volume) over month end as vol_moving_avg,
               case when row_number() over days >= {WINDOW} then median("Adj Close") over month end
                 as adj_close_rolling_med
        from '{work}/prices.parquet'
        window days as (partition by Symbol order by Date),
               month as (partition by Symbol order by Date rows between {WINDOW - 1} preceding and current row)
        """
    )
    session.execute(f"copy features to '{work}/features.parquet' (compression zstd, compression_level 1)")
    seconds = clock.lap()
    sums = session.execute("select sum(vol_moving_avg), sum(adj_close_rolling_med) from features").fetchone()
    return found | {"features": seconds, "means": sums[0], "medians": sums[1]}


def run_pandas(corpus: Path, work: Path) -> dict:
    import pandas as pd
    from xgboost import XGBRegressor

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
    found |= {"features": clock.lap()} | sum_up(market["vol_moving_avg"], market["adj_close_rolling_med"])
    clock.lap()
    learned = market.dropna(subset=["vol_moving_avg", "adj_close_rolling_med"])
    XGBRegressor().fit(learned[["vol_moving_avg", "adj_close_rolling_med"]], learned["Volume"])
    return found | {"train": clock.lap()}


def run_plain_spark(corpus: Path, work: Path) -> dict:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    from pipeline.spark.session import open_spark

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

    from pipeline.datasets.contract import FEATURES
    from pipeline.datasets.run_folder import RunFolder
    from pipeline.features.write import write_features
    from pipeline.ingest.prices import write_prices
    from pipeline.ingest.publish import publish_ingested
    from pipeline.ingest.source import open_source
    from pipeline.spark.server import connect_server
    from pipeline.spark.session import open_spark, warm_up

    with connect_server("local[*]", work / "spark.log") as server:
        os.environ |= {"SPARK_REMOTE": server.address, "TQDM_DISABLE": "1"}
        warm_up(server.address)
        spark = open_spark("local[*]")
        clock = Clock()
        source = open_source("folder", str(corpus))
        prices, symbols, quarantine = (RunFolder(work).open_draft(name) for name in ("prices", "symbols", "quarantine"))
        ingested = write_prices(spark, source, prices, quarantine)
        versions = publish_ingested(ingested, prices, symbols, quarantine, {})
        found = {"ingest": clock.lap(), "rows": versions["prices"].rows}
        draft = RunFolder(work).open_draft("features")
        parts = write_features(spark, versions["prices"], draft, WINDOW, "rows")
        features = draft.publish(parts, schema=FEATURES, parameters={}, inputs={"prices": versions["prices"].id})
        found["features"] = clock.lap()
        found["train"] = train_models(spark, features)
        sums = features.read(spark).agg(*map(F.sum, ("Volume", "adj_close_rolling_med", "vol_moving_avg"))).first()
        spark.stop()
    return found | {"volume": sums[0], "medians": sums[1], "means": sums[2]}


def train_models(spark, features) -> float:
    """Fit naive, linear and grid and judge them, as 03_train does. Returns the seconds."""
    import numpy as np

    from pipeline.forecasting import intervals
    from pipeline.forecasting.days import count_days
    from pipeline.forecasting.periods import plan_periods
    from pipeline.forecasting.same_day import judgement
    from pipeline.forecasting.same_day import models as same_day
    from pipeline.forecasting.same_day.counts import count_market, plan_counts

    clock = Clock()
    daily = count_days(spark, features.files)
    periods = plan_periods("2018-01-01", daily)
    counted = count_market(spark, features.files, plan_counts(periods, daily, 200_000))
    fitted = [same_day.fit_models(["naive", "linear", "grid"], counted.learn(until), spark) for until in (1, 2)]
    candidates, models = ({name: one.predict for name, one in each.items()} for each in fitted)
    interval, _ = intervals.calibrate_grid(counted.sum_rows(periods.ends))
    edges = judgement.find_edges(counted.sizes)
    trial = judgement.Trial(periods, candidates, models, interval, edges, np.empty(0, np.int64))
    judgement.judge(spark, features.files, trial).test.pool().score()
    return clock.lap()


def choose_parameters(corpus: Path, work: Path, next_day: bool = False) -> dict:
    """Parameters of a run on the whole market that trains naive, linear and grid; with next_day XGBoost as well."""
    import yaml

    chosen = {"RUN_DIR": str(work), "SOURCE": "folder", "DATA_DIR": str(corpus), "TUNNEL": "none"}
    models = {"MODELS": "naive,linear,grid" + ",xgboost" * next_day, "NEXT_DAY": next_day}
    return yaml.safe_load((ROOT / "params" / "full.yaml").read_text()) | chosen | models


def run_cells(corpus: Path, work: Path) -> dict:
    """The cells of the four notebooks in one process: what they cost without kernels, papermill and its records."""
    import matplotlib
    import nbformat

    from pipeline.spark.server import connect_server
    from pipeline.spark.session import begin_warm_up, go_on
    from pipeline.stages import STAGES

    matplotlib.use("Agg")
    os.chdir(ROOT / "notebooks")
    parameters, found, clock = choose_parameters(corpus, work), {}, Clock()
    with connect_server("local[*]", work / "spark.log") as server:
        os.environ |= {"SPARK_REMOTE": server.address, "TQDM_DISABLE": "1"}
        warming = begin_warm_up(server.address)
        go_on(warming)
        for stage in STAGES:
            names = {}
            for cell in nbformat.read(stage.notebook, as_version=4).cells:
                if cell.cell_type == "code":
                    exec(cell.source, names)  # the project's own notebooks
                if "parameters" in cell.metadata.get("tags", []):
                    names |= {name: value for name, value in parameters.items() if name in names}
            found[stage.name] = clock.lap()
        warming.wait()
    return found


def run_notebooks(corpus: Path, work: Path, next_day: bool = False) -> dict:
    command = [sys.executable, "run_all.py", "--params", "params/full.yaml", "--run-dir", str(work), "--quiet"]
    for name, value in choose_parameters(corpus, work, next_day).items():
        if name != "RUN_DIR":
            command += ["-p", name, str(value)]
    environment = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    subprocess.run(command, check=True, env=environment)
    (run,) = work.glob("runs/*/run.json")
    stages = {stage["name"]: stage["seconds"] for stage in json.loads(run.read_text())["stages"]}
    return {name: stages[name] for name in ("ingest", "features", "train")}


CONTESTANTS: dict[str, Callable[[Path, Path], dict]] = {
    "floor": run_floor,
    "polars": run_polars,
    "duckdb": run_duckdb,
    "project": run_project,
    "cells": run_cells,
    "notebooks": run_notebooks,
    "next_day": partial(run_notebooks, next_day=True),
    "pandas": run_pandas,
    "plain_spark": run_plain_spark,
}


if __name__ == "__main__":
    print(json.dumps(CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
