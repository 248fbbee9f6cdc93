"""Where deliveries come from: Kaggle, by the real client and its cache, folders and zips; and what cannot be read."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.environment import KAGGLE
from pipeline.errors import InputError, QualityError
from pipeline.ingest.delivery import METADATA
from pipeline.ingest.source import INPUT_VARIABLE, KAGGLE_DATASET, SAMPLE, open_source

OPEN = "from pipeline.ingest.source import open_source; print(open_source('kaggle').content_fingerprint)"


def test_kaggle_answers_from_its_cache(tmp_path, monkeypatch):
    """No network is needed: the cache holds the data set."""
    folder = tmp_path / "datasets" / KAGGLE_DATASET
    shutil.copytree(SAMPLE, folder)
    (folder.parents[1] / f"{folder.name}.complete").touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    # In a process of its own, since the client reads its settings when it is imported.
    done = subprocess.run([sys.executable, "-c", OPEN], cwd=SAMPLE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.split()[-1] == open_source("sample").content_fingerprint


def test_what_is_attached_on_kaggle_is_read_without_asking_for_it(tmp_path, monkeypatch):
    attached = shutil.copytree(SAMPLE, tmp_path / "stock-market-dataset")
    monkeypatch.setenv(INPUT_VARIABLE, str(tmp_path))
    assert open_source("auto").root == SAMPLE  # another machine
    monkeypatch.setenv(KAGGLE, "Interactive")
    assert open_source("auto").root == attached
    assert open_source("kaggle").root == attached
    shutil.rmtree(attached)
    assert open_source("auto").root == SAMPLE


def spoil_names(folder: Path, good: str, bad: str) -> None:
    text = (folder / METADATA).read_text()
    assert good in text
    (folder / METADATA).write_text(text.replace(good, bad))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "is not there"),
        (lambda folder: [shutil.rmtree(folder / "stocks"), shutil.rmtree(folder / "etfs")], "has no CSV in"),
        (lambda folder: (folder / METADATA).unlink(), METADATA),
        (
            lambda folder: (folder / METADATA).write_text("Symbol,Name\nA,b\n"),
            "NASDAQ Symbol and Security Name",
        ),
        (lambda folder: (folder / "stocks" / "A\nB.csv").write_bytes(b""), "Rename"),
        (
            lambda folder: (folder / "stocks" / "DEAD.csv").symlink_to("nowhere"),
            r"stocks/DEAD\.csv cannot be read",
        ),
        (lambda folder: spoil_names(folder, 'Stock",', "Stock,"), f"{METADATA} in .* line 7 .*quote"),
        (
            lambda folder: spoil_names(folder, 'fund)",, ,N,100.0,N,,,^IXIC', "fund)"),
            f"{METADATA} in .* line 8 .*quote",
        ),
        (lambda folder: spoil_names(folder, ",MSFT,M", ',MSFT,"M' + "x" * 200_000), f"{METADATA} in .* line 6 .*limit"),
    ],
)
def test_delivery_that_cannot_be_used_is_named(tmp_path, spoil, message):
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "delivery"))
    spoil(folder)
    with pytest.raises(InputError, match=message):
        open_source("folder", str(folder))


def test_file_that_is_no_zip_is_named(tmp_path):
    (tmp_path / "archive.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match=r"archive\.zip"):
        open_source("folder", str(tmp_path / "archive.zip"))


@pytest.mark.parametrize(
    ("offset", "value"),
    [(8, b"\1\0"), (10, b"\x63\0"), (20, b"\0\0\1\0" * 2)],
    ids=["encrypted", "packed in an unknown way", "cut short"],
)
def test_member_that_cannot_be_unpacked_is_named(tmp_path, offset, value):
    """offset: where the archive's directory tells the member's flags, method and sizes."""
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (METADATA, "stocks/FB.csv"):
            file.write(SAMPLE / path, path)
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + offset : entry + offset + len(value)] = value
    archive.write_bytes(data)
    with pytest.raises(InputError, match=rf"{METADATA} in .*archive\.zip cannot be read"):
        open_source("folder", str(archive))


def copy_sample(folder: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, folder))


def zip_sample(archive: Path, rename=lambda name: name, **more: bytes) -> Path:
    """The sample as a zip. more: further entries, name -> content."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(SAMPLE.rglob("*.csv")):
            entry = zipfile.ZipInfo("x")
            entry.filename = rename(path.relative_to(SAMPLE).as_posix())  # past the constructor, which mends slashes
            file.writestr(entry, path.read_bytes())
        for name, content in more.items():
            file.writestr(name, content)
    return archive


def test_a_zip_with_backslashes_is_read(tmp_path):
    archive = zip_sample(tmp_path / "a.zip", lambda name: "market\\" + name.replace("/", "\\"))
    with zipfile.ZipFile(archive) as file:
        assert "market\\stocks\\FB.csv" in file.namelist()
    source, sample = open_source("folder", str(archive)), open_source("sample")
    assert [file.path for file in source.files] == [file.path for file in sample.files]
    assert source.read("stocks/FB.csv") == sample.read("stocks/FB.csv")
    assert (source.content_fingerprint, source.names) == (sample.content_fingerprint, sample.names)
    assert not source.warnings


LEFT_OUT = ["etfs/B.csv.gz", "stocks/._AAPL.csv", "stocks/D/X.csv", "stocks/notes.txt"]


def test_what_is_not_read_is_named(tmp_path):
    """Hidden files, files that are packed, and what lies further down; a program's own hidden files need no word."""
    folder = copy_sample(tmp_path / "delivery")
    for name in [*LEFT_OUT, "stocks/.DS_Store", "README.txt"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"Mac OS X")
    archive = zip_sample(tmp_path / "a.zip", **dict.fromkeys([*LEFT_OUT, "__MACOSX/stocks/._AAPL.csv"], b"Mac OS X"))
    for place in (folder, archive):
        source = open_source("folder", str(place))
        assert [file.symbol for file in source.files] == ["AAPL", "FB", "GOOG", "IBM", "MSFT", "^GSPC", "^IXIC"]
        (warning,) = source.warnings
        assert ", ".join(LEFT_OUT) in warning
        assert "DS_Store" not in warning and "README" not in warning
        assert source.content_fingerprint == open_source("sample").content_fingerprint


def test_a_delivery_of_packed_files_alone_is_told_what_to_do(tmp_path):
    folder = tmp_path / "delivery"
    (folder / "stocks").mkdir(parents=True)
    (folder / METADATA).write_text("NASDAQ Symbol,Security Name\n")
    for number in range(9):
        (folder / "stocks" / f"S{number}.csv.gz").touch()
    with pytest.raises(InputError, match=r"no CSV .*stocks/S0\.csv\.gz.* and 4 more"):
        open_source("folder", str(folder))


def test_symbols_that_look_like_mistakes_are_named_and_kept(tmp_path):
    folder = copy_sample(tmp_path / "delivery")
    for name in ("goog", "AAPL (1)", "BRK-B", "odd but known", "^VIX"):
        shutil.copy(folder / "stocks" / "FB.csv", folder / "stocks" / f"{name}.csv")
    with (folder / METADATA).open("a") as file:
        for symbol, name in {"FB": "Another", "IBM": "", "odd but known": "Known"}.items():
            file.write(f"Y,{symbol},{name},Q,Q,N,100.0,N,N,,{symbol},N\n")
    source = open_source("folder", str(folder))
    assert {"goog", "AAPL (1)", "BRK-B", "odd but known", "^VIX"} < {file.symbol for file in source.files}
    odd, repeated = source.warnings
    assert "stocks/AAPL (1).csv, stocks/goog.csv." in odd
    assert repeated.endswith(": FB, IBM.")
    assert source.names["FB"] == "Another"


def test_two_entries_of_one_name_in_a_zip_are_refused(tmp_path):
    archive = zip_sample(tmp_path / "a.zip", **{"stocks\\FB.csv": b"other"})
    with pytest.raises(QualityError, match=r"stocks/FB\.csv is in .*a\.zip twice"):
        open_source("folder", str(archive))


def test_metadata_replaced_meanwhile_does_not_change_what_was_read(tmp_path):
    folder = copy_sample(tmp_path / "delivery")
    before = open_source("sample")
    source = open_source("folder", str(folder))
    spoil_names(folder, "Apple Inc.", "Orange Inc.")
    assert source.names == before.names
    assert source.content_fingerprint == before.content_fingerprint
    assert open_source("folder", str(folder)).content_fingerprint != before.content_fingerprint
