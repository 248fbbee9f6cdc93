"""Where deliveries come from: Kaggle, by the real client and its cache, folders and zips; and what cannot be read."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.ingest.source import KAGGLE_DATASET, METADATA, SAMPLE, open_source

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
