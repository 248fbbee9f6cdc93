"""Versions of a dataset: what a reader sees at every moment, and who may change it."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.datasets.lock import TOKEN_VARIABLE
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError, LockedError

ROOT = Path(__file__).parents[2]
SCHEMA = pa.schema([pa.field("n", pa.int64())])


def publish(run_dir: Path, *numbers: int):
    draft = RunFolder(run_dir).open_draft("prices")
    parts = keep_attempts(draft.path, [write_attempt(pa.table({"n": list(numbers)}), draft.path)])
    return draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})


def test_published_version_is_whole_and_can_be_checked(tmp_path):
    published = publish(tmp_path, 1, 2, 3)
    version = RunFolder(tmp_path).current("prices")
    assert version.path == published.path
    assert version.rows == 3
    for file in version.manifest["files"]:
        data = (version.path / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert sorted(path.name for path in version.path.iterdir()) == ["manifest.json", "part-00000.parquet"]


def test_a_version_is_on_the_disk_before_it_is_named(tmp_path, monkeypatch):
    """What can be seen of a loss of power without one: every file was flushed, the pointer last."""
    flushed, flush = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (flush(file), flushed.append(os.fstat(file).st_ino)))
    version = publish(tmp_path, 1, 2)
    pointer = tmp_path / "prices" / "CURRENT"
    assert flushed[-1] == pointer.stat().st_ino
    assert {path.stat().st_ino for path in version.path.iterdir()} <= set(flushed[:-1])


def test_equal_content_gives_equal_bytes_anywhere(tmp_path):
    one, other = publish(tmp_path / "a", 1, 2), publish(tmp_path / "b", 1, 2)
    assert one.id == other.id != publish(tmp_path / "b", 1, 3).id
    for path in one.path.iterdir():
        assert path.read_bytes() == (other.path / path.name).read_bytes()


def test_absent_dataset_names_the_notebook_to_run(tmp_path):
    with pytest.raises(InputError, match=r"`features`.*run notebooks/02_features.ipynb first"):
        RunFolder(tmp_path).current("features")


def test_draft_that_is_not_published_leaves_no_trace(tmp_path):
    publish(tmp_path, 1)
    draft = RunFolder(tmp_path).open_draft("prices")
    write_attempt(pa.table({"n": [2]}), draft.path)
    del draft
    assert len(list((tmp_path / "prices").iterdir())) == 2
    assert RunFolder(tmp_path).current("prices").rows == 1


def test_file_of_a_late_attempt_is_not_published(tmp_path):
    draft = RunFolder(tmp_path).open_draft("prices")
    parts = keep_attempts(draft.path, [write_attempt(pa.table({"n": [1]}), draft.path)])
    write_attempt(pa.table({"n": [1]}), draft.path)  # a second attempt, of which Spark told nobody
    version = draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})
    assert sorted(path.name for path in version.path.iterdir()) == ["manifest.json", "part-00000.parquet"]
    assert version.rows == 1


def test_notebook_by_hand_may_not_publish_into_a_folder_that_a_run_holds(tmp_path):
    publish(tmp_path, 1)
    with RunFolder(tmp_path).hold():
        assert publish(tmp_path, 1, 2).rows == 2  # the run itself may
        token = os.environ.pop(TOKEN_VARIABLE)
        with pytest.raises(LockedError, match="A run holds"):
            publish(tmp_path, 1, 2, 3)
        os.environ[TOKEN_VARIABLE] = token
    assert RunFolder(tmp_path).current("prices").rows == 2


def test_refused_notebook_publishes_once_the_run_has_ended(tmp_path):
    """The refusal says to run the cell again: what it wrote must be there still, and be described rightly."""
    draft = RunFolder(tmp_path).open_draft("prices")
    parts = keep_attempts(draft.path, [write_attempt(pa.table({"n": [1]}), draft.path)])
    with RunFolder(tmp_path).hold():
        token = os.environ.pop(TOKEN_VARIABLE)
        with pytest.raises(LockedError, match="run this cell again"):
            draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})
        os.environ[TOKEN_VARIABLE] = token
        assert RunFolder(tmp_path).clear_leftovers() == []
    version = draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})
    assert [file["name"] for file in version.manifest["files"]] == ["part-00000.parquet"]


def test_orphan_of_a_dead_run_publishes_nothing(tmp_path, monkeypatch):
    publish(tmp_path, 1)
    with RunFolder(tmp_path).hold() as token:
        pass
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(LockedError, match="has ended"):
        publish(tmp_path, 1, 2)
    monkeypatch.delenv(TOKEN_VARIABLE)
    with RunFolder(tmp_path).hold():  # a new run took over
        monkeypatch.setenv(TOKEN_VARIABLE, token)
        with pytest.raises(LockedError, match="has ended"):
            publish(tmp_path, 1, 2)
    assert RunFolder(tmp_path).current("prices").rows == 1


def test_second_run_is_refused_at_once(tmp_path):
    with RunFolder(tmp_path).hold():
        token = os.environ[TOKEN_VARIABLE]
        with pytest.raises(LockedError, match="another run"), RunFolder(tmp_path).hold():
            pass
        os.environ[TOKEN_VARIABLE] = token
    with RunFolder(tmp_path).hold():
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
import pipeline.datasets.store as store
from tests.datasets.test_store import publish

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment, run_dir = sys.argv[1:]
if moment == "manifest":            # the parts are there, the manifest is not
    store.write_atomically = die
elif moment == "rename":            # the manifest is there, the version has no name yet
    Path.rename = lambda self, target: die() if target.suffix != ".parquet" else os.rename(self, target)
elif moment == "named":             # the version has its name, the pointer is not replaced
    real = store.write_atomically
    store.write_atomically = lambda path, text: die() if path.name == "CURRENT" else real(path, text)
elif moment == "pointer":           # the new pointer is written beside the old one
    real = Path.replace
    Path.replace = lambda self, target: die() if Path(target).name == "CURRENT" else real(self, target)
elif moment == "done":
    real = store.write_atomically
    store.write_atomically = lambda path, text: (real(path, text), die() if path.name == "CURRENT" else None)
publish(Path(run_dir), 1, 2, 3)
"""


@pytest.mark.parametrize("moment", ["manifest", "rename", "named", "pointer", "done"])
@pytest.mark.parametrize("before", [True, False], ids=["an old version", "no version yet"])
def test_kill_at_any_moment_of_publishing(tmp_path, moment, before):
    if before:
        publish(tmp_path, 1, 2)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    survivor = 3 if moment == "done" else 2 if before else None
    if survivor is None:
        with pytest.raises(InputError):
            RunFolder(tmp_path).current("prices")
    else:
        assert RunFolder(tmp_path).current("prices").rows == survivor

    run = RunFolder(tmp_path)
    run.restore_pointers()
    run.clear_leftovers()

    names = {path.name for path in (tmp_path / "prices").iterdir()}
    # A whole version without any pointer may be the one that was published: nobody can tell, so it is kept.
    kept = moment == "done" or (moment in ("named", "pointer") and not before)
    finished = (1 if before else 0) + (1 if kept else 0)
    assert len(names - {"CURRENT"}) == finished, names
    assert ("CURRENT" in names) == bool(finished)
    assert publish(tmp_path, 1, 2, 3).rows == 3  # nothing stands in the way of the next run


def test_readers_see_a_whole_version_at_every_moment(tmp_path):
    publish(tmp_path, 0)
    stop = multiprocessing.Event()
    failures = multiprocessing.Queue()
    reader = multiprocessing.Process(target=read_until, args=(tmp_path, stop, failures))
    reader.start()
    for length in range(1, 40):
        publish(tmp_path, *range(length))
    stop.set()
    reader.join()
    assert failures.empty(), failures.get()


def read_until(run_dir: Path, stop, failures) -> None:
    while not stop.is_set():
        try:
            version = RunFolder(run_dir).current("prices")
            for file in json.loads((version.path / "manifest.json").read_text())["files"]:
                assert hashlib.sha256((version.path / file["name"]).read_bytes()).hexdigest() == file["sha256"]
        except Exception as error:
            failures.put(repr(error))
            return


def test_old_versions_are_pruned_and_the_current_one_never(tmp_path):
    versions = []
    for length in range(1, 5):
        versions.append(publish(tmp_path, *range(length)))
        time.sleep(0.001)
    (tmp_path / "prices" / "CURRENT").write_text(versions[0].path.name + "\n")  # somebody went back
    RunFolder(tmp_path).prune_versions(keep=2)
    left = {path.name for path in (tmp_path / "prices").iterdir()}
    assert left == {"CURRENT", *(versions[index].path.name for index in (0, 2, 3))}


def test_draft_that_goes_while_a_run_clears_up_is_no_error(tmp_path, monkeypatch):
    """A notebook open by hand may end at any moment: here between the looks into the folder and at its draft."""
    draft = RunFolder(tmp_path).open_draft("prices")
    seen = list((tmp_path / "prices").iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(seen))
    del draft
    RunFolder(tmp_path).clear_leftovers()


@pytest.mark.parametrize("published", [0, 3])
def test_what_others_put_there_is_left_alone(tmp_path, published):
    home = tmp_path / "prices"
    (home / "backup").mkdir(parents=True)
    (home / ".ipynb_checkpoints").mkdir()
    (home / "notes.txt").write_text("mine")
    for length in range(published):
        publish(tmp_path, *range(length))
        time.sleep(0.001)
    RunFolder(tmp_path).clear_leftovers()
    RunFolder(tmp_path).prune_versions(keep=1)
    left = {path.name for path in home.iterdir()}
    assert left >= {"backup", ".ipynb_checkpoints", "notes.txt"}
    assert len(left) == (5 if published else 3)  # and the current version with its pointer
