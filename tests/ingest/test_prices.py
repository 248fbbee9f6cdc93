"""Whole deliveries through Spark: every row accounted for, exact symbols."""

import random
import zipfile
from datetime import date

import pyarrow.parquet as pq
import pytest

from pipeline.datasets.contract import PRICES, flagged
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError, QualityError
from pipeline.features.write import write_features
from pipeline.ingest import prices as ingest
from pipeline.ingest.delivery import METADATA
from pipeline.ingest.parts import plan_parts
from pipeline.ingest.prices import write_prices
from pipeline.ingest.source import SAMPLE, open_source
from tests.ingest.deliveries import ROW, deliver, make_delivery, read
from tests.ingest.test_market_csv import FAULTS, HEADER, make_lines


def test_symbol_with_two_files_is_refused_with_both_named(tmp_path):
    folder = make_delivery(tmp_path, {"stocks/SPY.csv": ROW, "etfs/SPY.csv": ROW})
    with pytest.raises(QualityError, match=r"etfs/SPY\.csv and stocks/SPY\.csv"):
        open_source("folder", str(folder))


def test_symbols_and_names_come_through_exactly(spark, tmp_path):
    names = {
        "CARR#": "Carrier",
        "UTX#": "United",
        "AGM-A": 'Farmer Mac, "A"',
        "^GSPC": "S&P 500",
        "PRN": "Profound",
        "BRK$B": "Class $B$, 5% &amp; <b>",
    }
    odd = [
        "CARR#",
        "UTX#",
        "AGM-A",
        "^GSPC",
        "A B",
        "X[1]",
        "50%",
        "%41",
        "BRK$B",
        "Ünïcode",
        "_ABC",
        "NA",
        "null",
        "1E5",
    ]
    files = {f"stocks/{symbol}.csv": ROW for symbol in odd} | {"etfs/_PRN.csv": ROW}
    make_delivery(tmp_path / "in", files, names | {"ABC": "not _ABC"})
    deliver(spark, tmp_path / "run", open_source("folder", str(tmp_path / "in")))
    rows = read(tmp_path / "run", "prices")
    found = dict(zip(rows["Symbol"], rows["Security Name"].astype(object), strict=True))
    assert set(found) == {*odd, "PRN"}
    assert {symbol: name for symbol, name in found.items() if isinstance(name, str)} == names
    symbols = read(tmp_path / "run", "symbols").set_index("Symbol")
    assert symbols["kind"].to_dict() == dict.fromkeys(odd, "stock") | {"PRN": "etf"}
    seen = RunFolder(tmp_path / "run").current("prices").read(spark)  # and Spark sees the same
    assert {row["Symbol"] for row in seen.select("Symbol").collect()} == set(found)


def test_faults_of_every_kind_balance_to_the_row(spark, tmp_path):
    rng = random.Random(11)
    files, planted, good = {}, {}, 0
    for number in range(60):
        lines = make_lines(rng, rng.randrange(5, 80))
        good += len(lines)
        path = f"{rng.choice(['stocks', 'etfs'])}/S{number}.csv"
        for _ in range(rng.choice([0, 0, 1, 3])):
            line = rng.choice([line for line, reason in FAULTS if reason != "duplicate date"])
            lines.insert(rng.randrange(len(lines) + 1), line)
            planted[path] = planted.get(path, 0) + 1
        files[path] = b"\n".join(lines) + b"\n"
    folder = make_delivery(tmp_path / "in", files)
    for name, data in {"EMPTY": b"", "HEADER": HEADER, "WRONG": b"a,b\n1,2\n3,4\n"}.items():
        (folder / "stocks" / f"{name}.csv").write_bytes(data)
    ingested = deliver(spark, tmp_path / "run", open_source("folder", str(folder)))

    ledger = ingested.ledger.set_index("file")
    lines_below_header = {path: body.count(b"\n") for path, body in files.items()}
    lines_below_header |= {"stocks/EMPTY.csv": 0, "stocks/HEADER.csv": 0, "stocks/WRONG.csv": 2}
    assert ledger["data_rows"].to_dict() == lines_below_header
    assert (ledger["data_rows"] == ledger["rows"] + ledger["refused"]).all()
    assert read(tmp_path / "run", "prices").groupby("Symbol", observed=True).size().sum() == good
    quarantine = read(tmp_path / "run", "quarantine")
    assert quarantine[quarantine["line"].notna()].groupby("file")["rows"].sum().to_dict() == planted
    whole = quarantine[quarantine["line"].isna()].set_index("file")
    assert whole["reason"].to_dict() == {
        "stocks/EMPTY.csv": "empty file",
        "stocks/HEADER.csv": "no data",
        "stocks/WRONG.csv": "header",
    }
    assert whole["rows"].to_dict() == {"stocks/EMPTY.csv": 0, "stocks/HEADER.csv": 0, "stocks/WRONG.csv": 2}
    total = sum(lines_below_header.values())
    assert ingested.refused_share == pytest.approx((sum(planted.values()) + 2 + 2) / (total + 2))


def test_delivery_without_one_good_row(spark, tmp_path):
    folder = make_delivery(tmp_path / "in", {"stocks/A.csv": b"", "etfs/B.csv": b"rubbish\n"})
    ingested = deliver(spark, tmp_path / "run", open_source("folder", str(folder)))
    assert ingested.refused_share == 1
    assert RunFolder(tmp_path / "run").current("prices").rows == 0


def test_suspicious_rows_are_published_and_counted(spark, tmp_path):
    body = b"2020-01-02,0,2,1,1,1,5\n2020-01-03,1,2,3,1,1,5\n"
    body += b"2020-01-06,1,2,1,1,-2.38e21,5\n2020-01-07,1,2,1,1,1,5\n"
    make_delivery(tmp_path / "in", {"stocks/A.csv": body})
    ingested = deliver(spark, tmp_path / "run", open_source("folder", str(tmp_path / "in")))
    rows = read(tmp_path / "run", "prices")
    assert len(rows) == 4 and int(flagged(rows).sum()) == 3 == ingested.ledger["flagged"].sum()
    seen = RunFolder(tmp_path / "run").current("prices").read(spark)
    assert seen.where(flagged(seen)).count() == 3  # the same rule in Spark
    flags = RunFolder(tmp_path / "run").current("prices").manifest["flags"]
    assert flags == {"adj_close_not_positive": 1, "adj_close_absurd": 0, "high_below_low": 1, "open_zero": 1}


def test_short_symbol_has_null_features(spark, tmp_path):
    make_delivery(tmp_path / "in", {"stocks/A.csv": ROW, "stocks/B.csv": b"", "etfs/C.csv": ROW})
    deliver(spark, tmp_path, open_source("folder", str(tmp_path / "in")))
    draft = RunFolder(tmp_path).open_draft("features")
    parts = write_features(spark, RunFolder(tmp_path).current("prices"), draft, 30, "rows")
    draft.publish(parts, parameters={}, inputs={})
    rows = read(tmp_path, "features")
    assert list(rows["Symbol"]) == ["A", "C"]
    assert rows[["vol_moving_avg", "adj_close_rolling_med"]].isna().all(axis=None)


def test_real_files_balance(spark, tmp_path, market_sample):
    ingested = deliver(spark, tmp_path, open_source("folder", str(market_sample)))
    ledger = ingested.ledger.set_index("Symbol")
    assert ledger["data_rows"].sum() == 2_339_171 - 652
    rows = pq.read_table(RunFolder(tmp_path).current("prices").files, schema=PRICES)
    assert rows.num_rows == ledger["rows"].sum() == 2_339_171 - 652 - ledger["refused"].sum()
    assert ledger.loc["AAPL", "max_volume"] == 7_421_640_800
    quarantine = read(tmp_path, "quarantine").set_index("file")
    assert quarantine.loc["stocks/AT.csv", "reason"] == "blank"
    assert ledger.loc["AT", "first_date"] < date(2021, 1, 27)


def test_damaged_member_of_a_zip_is_named(spark, tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(SAMPLE / "symbols_valid_meta.csv", "symbols_valid_meta.csv")
        file.write(SAMPLE / "stocks" / "FB.csv", "stocks/FB.csv")
    damaged = bytearray(archive.read_bytes())
    damaged[damaged.find(b"2012-06-01")] ^= 1
    archive.write_bytes(damaged)
    drafts = [RunFolder(tmp_path / "run").open_draft(name) for name in ("prices", "quarantine")]
    with pytest.raises(InputError, match=r"stocks/FB\.csv .* again"):
        write_prices(spark, open_source("folder", str(archive)), *drafts)


def test_what_is_recorded_is_what_was_read(spark, tmp_path, monkeypatch):
    """The metadata is replaced in the middle of it: the names and the fingerprint are those of the old one."""
    folder = make_delivery(tmp_path / "in", {"stocks/A.csv": ROW}, {"A": "Old"})
    source = open_source("folder", str(folder))
    read_before = source.content_fingerprint
    real = ingest.collect

    def replace_and_collect(frame):
        make_delivery(folder, {}, {"A": "New"})
        return real(frame)

    monkeypatch.setattr(ingest, "collect", replace_and_collect)
    deliver(spark, tmp_path / "run", open_source("folder", str(folder)))
    assert read(tmp_path / "run", "prices")["Security Name"].tolist() == ["Old"]
    assert RunFolder(tmp_path / "run").current("prices").manifest["inputs"] == {"source": read_before}
    assert open_source("folder", str(folder)).content_fingerprint != read_before


def test_a_zip_replaced_by_one_with_less_in_it_ends_in_one_line(spark, tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(SAMPLE / METADATA, METADATA)
        for name in ("FB", "IBM"):
            file.write(SAMPLE / "stocks" / f"{name}.csv", f"stocks/{name}.csv")
    source = open_source("folder", str(archive))
    with zipfile.ZipFile(archive, "w") as file:
        file.write(SAMPLE / METADATA, METADATA)
        file.write(SAMPLE / "stocks" / "FB.csv", "stocks/FB.csv")
    drafts = [RunFolder(tmp_path / "run").open_draft(name) for name in ("prices", "quarantine")]
    with pytest.raises(InputError, match=r"^stocks/IBM\.csv is no longer in .*archive\.zip.*Run again\.$"):
        write_prices(spark, source, *drafts)


def test_warnings_are_published_with_the_symbols(spark, tmp_path):
    make_delivery(tmp_path / "in", {"stocks/aapl.csv": ROW, "stocks/B.csv": ROW})
    ingested = deliver(spark, tmp_path / "run", open_source("folder", str(tmp_path / "in")))
    (warning,) = RunFolder(tmp_path / "run").current("symbols").manifest["warnings"]
    assert ingested.warnings == (warning,)
    assert "stocks/aapl.csv" in warning


def test_what_was_refused_is_summed_up(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_parts, "__defaults__", (200,))
    bad = b"2020-01-03,1,2\n" * 40 + b"2020-01-06,x,2,3,4,5,6\n" + b"2020-01-06,\x1b[31m,2,3,4,5,6\n"
    files = {f"stocks/{symbol}.csv": ROW * 2 + bad for symbol in "ABC"}
    folder = make_delivery(tmp_path / "in", files)
    (folder / "stocks" / "E.csv").write_bytes(b"")
    refused = deliver(spark, tmp_path / "run", open_source("folder", str(folder))).refused
    assert refused.counts.reset_index().to_numpy().tolist() == [
        ["fields", 120, 3],
        ["number", 6, 3],
        ["duplicate date", 3, 3],
        ["empty file", 0, 1],
    ]
    assert refused.by_reason.loc["fields", ["file", "line"]].tolist() == ["stocks/A.csv", 4]
    assert refused.describe() == (
        "fields 120 rows in 3 files, number 6 rows in 3 files, duplicate date 3 rows in 3 files, empty file 0 rows in "
        "1 file; for example stocks/A.csv line 4: '2020-01-03,1,2' (fields); stocks/A.csv line 44: "
        "'2020-01-06,x,2,3,4,5,6' (number); stocks/A.csv line 3: '2020-01-02,10.0,10.5,9.9,10.1,10.1,1000' "
        "(duplicate date)"
    )
    assert refused.examples["reason"].value_counts().tolist() == [3, 3, 3, 1]
