"""What people's hands and a clock that jumps do to a run folder: no whole version is lost."""

import json
import os
import time

import pytest

from pipeline.datasets import store
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError
from tests.datasets.test_store import publish


@pytest.fixture
def run(tmp_path):
    """A run folder with three versions of `prices`, of one, two and three rows."""
    for length in (1, 2, 3):
        publish(tmp_path, *range(length))
    return RunFolder(tmp_path)


POINTERS = {
    "gone": None,
    "empty": b"",
    "NUL": b"\0" * 40,
    "parent": b"..\n",
    "unknown": b"20200101T000000000000-00000000\n",
    "not UTF-8": b"\xff\xfe",
    "path": b"/etc\n",
}


@pytest.mark.parametrize("text", POINTERS.values(), ids=POINTERS)
def test_a_pointer_that_is_gone_or_damaged_is_restored(run, text):
    home = run.path / "prices"
    (home / "CURRENT").unlink() if text is None else (home / "CURRENT").write_bytes(text)
    (told,) = run.restore_pointers()
    run.clear_leftovers()
    run.prune_versions(keep=3)
    assert run.current("prices").rows == 3
    assert len(list(home.iterdir())) == 4
    assert run.current("prices").path.name in told
    assert run.restore_pointers() == []


@pytest.mark.parametrize("name", ["manifest.json", "part-00000.parquet"])
def test_only_a_version_that_is_whole_becomes_current_again(run, name):
    newest = run.current("prices").path
    (newest / name).write_bytes((newest / name).read_bytes()[:-40])
    (run.path / "prices" / "CURRENT").unlink()
    run.restore_pointers()
    assert run.current("prices").rows == 2


MANIFESTS = [b"", b"{", b"[]", b"\0\0", b"[" * 100_000, b'{"rows": 1}']


@pytest.mark.parametrize("text", MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_damaged_manifest_is_one_line_and_the_next_run_goes_back(run, text):
    (run.current("prices").path / "manifest.json").write_bytes(text)
    with pytest.raises(InputError, match=r"manifest\.json cannot be read") as error:
        run.current("prices")
    assert "\n" not in str(error.value)
    run.restore_pointers()
    assert run.current("prices").rows == 2


def test_where_nothing_whole_is_left_the_dataset_is_made_again(tmp_path):
    publish(tmp_path, 1)
    run = RunFolder(tmp_path)
    (run.current("prices").path / "manifest.json").write_text("{")
    (told,) = run.restore_pointers()
    assert "made again" in told
    assert run.find("prices") is None
    assert publish(tmp_path, 1).rows == 1
    assert run.restore_pointers() == []


def test_without_a_pointer_nothing_is_removed(run):
    (run.path / "prices" / "CURRENT").unlink()
    run.clear_leftovers()
    run.prune_versions(keep=1)
    assert len(list((run.path / "prices").iterdir())) == 3


def test_versions_keep_the_order_of_writing_when_the_clock_is_set_back(run, monkeypatch):
    class LastYear(store.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) - store.timedelta(days=365)

    newest = run.current("prices").path
    monkeypatch.setattr(store, "datetime", LastYear)
    version = publish(run.path, *range(4))
    last_year = time.time() - 365 * 86_400
    os.utime(run.path / "prices" / "CURRENT", (last_year, last_year))
    assert version.path.name > newest.name
    assert run.clear_leftovers() == []
    run.prune_versions(keep=2)
    assert sorted(path.name for path in (run.path / "prices").iterdir()) == [newest.name, version.path.name, "CURRENT"]


RECORDS = [b"[]", b"{", b"\0", b'"x"', b"", b"\xff"]


@pytest.mark.parametrize("text", RECORDS, ids=range(len(RECORDS)))
def test_a_damaged_record_is_one_line(run, text):
    (run.path / "stages.json").write_bytes(text)
    with pytest.raises(InputError, match=r"stages\.json.*remove it") as error:
        run.read_record("stages.json")
    assert "\n" not in str(error.value)


def test_a_record_is_read_as_it_was_written(run):
    record = {"ingest": {"run": "x"}}
    run.write_record("stages.json", record)
    assert run.read_record("stages.json") == record
    assert json.loads((run.path / "stages.json").read_text()) == record
