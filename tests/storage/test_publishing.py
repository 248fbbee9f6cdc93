"""Versions of a dataset in an object store: what a reader sees at every moment, and who may change it."""

import hashlib
import json
import os
import random
import signal
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.datasets.lock import TOKEN_VARIABLE
from pipeline.datasets.objects import ObjectPath
from pipeline.datasets.parts import keep_attempts, write_attempt
from pipeline.datasets.places import read_table
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import InputError, LockedError, ResourceError
from pipeline.runs.results import clear_records
from tests.storage import machines

SCHEMA = pa.schema([pa.field("n", pa.int64())])
NOW = timedelta(0)


@pytest.fixture(params=["s3", pytest.param("azure", marks=pytest.mark.slow)])
def store(request):
    """Publishing is tried on stores of several makers."""
    return request.getfixturevalue(f"{request.param}_store")


def write(url: str | Path, *numbers: int, dataset: str = "prices"):
    """A draft with one part, as a task and the notebook make it, and what publishes it."""
    draft = RunFolder(url).open_draft(dataset)
    parts = keep_attempts(draft.attempts, [write_attempt(pa.table({"n": list(numbers)}), draft.attempts)])
    return draft, lambda: draft.publish(parts, schema=SCHEMA, parameters={}, inputs={})


def publish(url: str | Path, *numbers: int, dataset: str = "prices"):
    return write(url, *numbers, dataset=dataset)[1]()


def test_a_version_is_whole_and_the_same_as_in_a_folder(url, tmp_path):
    there, here = publish(url, 1, 2, 3), publish(tmp_path, 1, 2, 3)
    version = RunFolder(url).current("prices")
    assert (version.path, version.id, version.rows) == (there.path, here.id, 3)
    for file in version.manifest["files"]:
        data = (version.path / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert [f["sha256"] for f in version.manifest["files"]] == [f["sha256"] for f in here.manifest["files"]]
    assert read_table(version.files)["n"].to_pylist() == [1, 2, 3]


def test_small_files_are_uploaded_with_the_version(url):
    draft = RunFolder(url).open_draft("model")
    (draft.path / "metrics.json").write_text("{}\n")
    version = draft.publish(parameters={}, inputs={})
    assert (version.path / "metrics.json").read_text() == "{}\n"
    assert sorted(path.name for path in version.path.iterdir()) == ["manifest.json", "metrics.json"]
    assert not draft.path.exists()


def test_draft_that_is_not_published_leaves_no_trace(url):
    publish(url, 1)
    draft, refused = write(url, 2)
    folder = draft.path
    del draft, refused
    assert not folder.exists()
    assert len(list((RunFolder(url).path / "prices").iterdir())) == 2


def test_an_attempt_of_which_nobody_was_told_is_not_published(url):
    draft, finish = write(url, 1)
    write_attempt(pa.table({"n": [99]}), draft.attempts)
    assert read_table(finish().files)["n"].to_pylist() == [1]


def test_absent_dataset_names_the_notebook_to_run(url):
    with pytest.raises(InputError, match=r"`features`.*run notebooks/02_features.ipynb first"):
        RunFolder(url).current("features")


def begin_then_publish(line, url: str, *numbers: int, dataset: str = "prices") -> str:
    """Write a version, say so, and publish it when told to."""
    _, finish = write(url, *numbers, dataset=dataset)
    line.send("written")
    line.recv()
    return finish().path.name


def begin_to_add(line, url: str) -> str:
    return begin_then_publish(line, url, 1, 2, dataset="forecasts")


def test_who_began_from_an_older_state_cannot_publish(url, variables, tmp_path):
    publish(url, 1)
    late = machines.start(tmp_path / "late", variables, begin_then_publish, url, 1, 2)
    assert late.take() == "written"
    newest = publish(url, 1, 2, 3)
    late.give()
    told = late.take()
    assert told.startswith(f"LockedError: Somebody else has published `prices` into {url} since"), told
    assert RunFolder(url).current("prices").path == newest.path


def test_sixteen_racing_publishers_lose_nothing(url, variables, tmp_path):
    """Sixteen machines begin from one state: one wins, the others say why they did not, and all of it is whole."""
    publish(url, 0)
    racers = [machines.start(tmp_path / str(n), variables, begin_then_publish, url, *range(n + 1)) for n in range(16)]
    assert [racer.take() for racer in racers] == ["written"] * 16
    for racer in racers:
        racer.give()
    told = [racer.take() for racer in racers]
    (winner,) = (number for number, said in enumerate(told) if not said.startswith("LockedError"))
    version = RunFolder(url).current("prices")
    assert (version.path.name, version.rows) == (told[winner], winner + 1)
    assert read_table(version.files)["n"].to_pylist() == list(range(winner + 1))


def test_what_a_run_has_read_must_still_be_current(url, variables, tmp_path):
    """Features of prices that somebody else has replaced meanwhile are those of no current prices."""
    publish(url, 1)
    _, finish = write(url, 1, dataset="features")
    other = machines.start(tmp_path / "other", variables, begin_then_publish, url, 2)
    other.take()
    other.give()
    other.take()
    with pytest.raises(LockedError, match="`prices`"):
        finish()
    assert RunFolder(url).find("features") is None


def test_a_run_publishes_one_dataset_after_another(url):
    with RunFolder(url).hold():
        publish(url, 1, dataset="prices")
        publish(url, 1, dataset="features")
        publish(url, 1, 2, dataset="features")
    assert RunFolder(url).current("features").rows == 2


def test_a_run_adds_to_what_was_there_before(url, variables, tmp_path):
    """A diary grows: a run reads it when it adds, so what others added since the run began is no reason to refuse."""
    publish(url, 1, dataset="forecasts")
    with RunFolder(url).hold():
        other = machines.start(tmp_path / "other", variables, begin_to_add, url)
        other.take()
        other.give()
        other.take()
        assert publish(url, 1, 2, 3, dataset="forecasts").rows == 3


def test_second_run_of_this_machine_is_refused_at_once(url):
    with RunFolder(url).hold():
        token = os.environ[TOKEN_VARIABLE]
        with pytest.raises(LockedError, match=f"{url} is in use by another run"), RunFolder(url).hold():
            pass
        os.environ[TOKEN_VARIABLE] = token
    with RunFolder(url).hold():
        pass


def test_orphan_of_a_dead_run_publishes_nothing(url, monkeypatch):
    publish(url, 1)
    with RunFolder(url).hold() as token:
        pass
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(LockedError, match="has ended"):
        publish(url, 1, 2)
    assert RunFolder(url).current("prices").rows == 1


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def publish_until(line, url: str, moment: str) -> None:
    """Publish, and die at a moment of it."""
    draft, finish = write(url, 1, 2, 3)
    (draft.path / "notes.json").write_text("{}")
    if moment == "parts":  # they are there, and nothing else
        die()
    real = ObjectPath.write_bytes
    at = {"notes": "notes.json", "manifest": "manifest.json", "pointer": "CURRENT"}[moment.removesuffix(" put")]

    def write_or_die(self, data, mode="overwrite"):
        if self.name == at and not moment.endswith("put"):
            die()
        real(self, data, mode)
        if self.name == at:
            die()

    ObjectPath.write_bytes = write_or_die
    finish()


@pytest.mark.parametrize("moment", ["parts", "notes", "manifest", "manifest put", "pointer", "pointer put"])
@pytest.mark.parametrize("before", [True, False], ids=["an old version", "no version yet"])
def test_kill_at_any_moment_of_publishing(url, variables, tmp_path, moment, before):
    if before:
        publish(url, 1, 2)
    victim = machines.start(tmp_path / "victim", variables, publish_until, url, moment)
    victim.process.join(60)
    assert victim.process.exitcode == -signal.SIGKILL
    survivor = 3 if moment == "pointer put" else 2 if before else None
    found = RunFolder(url).find("prices")
    assert (found and found.rows) == survivor

    run = RunFolder(url)
    with run.hold():
        kept = run.clear_leftovers()
        assert kept == [], "what was written just now may be of a run that lives"
        run.restore_pointers()
        run.clear_leftovers(NOW)
        names = {path.name for path in (run.path / "prices").iterdir()}
        # A whole version without any pointer may be the one that was published: nobody can tell, so it is kept.
        whole = moment == "pointer put" or (moment in ("manifest put", "pointer") and not before)
        assert len(names - {"CURRENT"}) == before + whole, names
        assert ("CURRENT" in names) == (before or whole)
        assert publish(url, 1, 2, 3).rows == 3  # nothing stands in the way of the next run


def publish_forever(line, url: str) -> None:
    for length in range(1, 1000):
        publish(url, *range(length))


def read_forever(line, url: str) -> str:
    """Read the current version over and over until told to stop; what was wrong with one, or nothing."""
    while not line.poll():
        version = RunFolder(url).current("prices")
        for file in version.manifest["files"]:
            if hashlib.sha256((version.path / file["name"]).read_bytes()).hexdigest() != file["sha256"]:
                return f"{version.path} is not whole"
    return ""


@pytest.mark.parametrize("count", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_publishers_killed_at_random(url, variables, tmp_path, count):
    """Under the eyes of a reader; the next run clears up after each."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    publish(url, 1)
    reader = machines.start(tmp_path / "reader", variables, read_forever, url)
    for number in range(count):
        victim = machines.start(tmp_path / f"victim-{number}", variables, publish_forever, url)
        time.sleep(chance.uniform(0.1, 0.5))
        victim.kill()
        run = RunFolder(url)
        with run.hold():
            assert run.restore_pointers() == []
            run.clear_leftovers(NOW)
            rows = run.current("prices").rows
            publish(url, *range(1000))
            assert run.current("prices").rows == 1000 > rows - 1000
    reader.give()
    assert reader.take() == ""


POINTERS = {
    "gone": None,
    "empty": b"",
    "NUL": b"\0" * 40,
    "parent": b"..\n",
    "unknown": b"20200101T000000000000-00000000\n",
}


@pytest.mark.parametrize("text", POINTERS.values(), ids=POINTERS)
def test_a_pointer_that_is_gone_or_damaged_is_restored(url, text):
    for length in (1, 2, 3):
        publish(url, *range(length))
    run = RunFolder(url)
    pointer = run.path / "prices" / "CURRENT"
    pointer.unlink() if text is None else pointer.write_bytes(text)
    with run.hold():
        (told,) = run.restore_pointers()
        run.clear_leftovers(NOW)
        assert run.current("prices").path.name in told
        assert run.current("prices").rows == 3
        assert publish(url, 1).rows == 1  # the run goes on from what it has restored


def test_old_versions_are_pruned_and_the_current_one_never(url):
    versions = [publish(url, *range(length)) for length in range(1, 5)]
    run = RunFolder(url)
    (run.path / "prices" / "CURRENT").write_text(versions[0].path.name + "\n")  # somebody went back
    draft, _ = write(url, 1)
    run.prune_versions(keep=2)
    left = {path.name for path in (run.path / "prices").iterdir()}
    assert left == {"CURRENT", draft.attempts.name, *(versions[index].path.name for index in (0, 2, 3))}


def test_what_others_put_there_is_left_alone(url):
    home = RunFolder(url).path / "prices"
    (home / "backup" / "x.csv").write_text("mine")
    (home / "notes.txt").write_text("mine")
    publish(url, 1)
    publish(url, 2)
    RunFolder(url).clear_leftovers(NOW)
    RunFolder(url).prune_versions(keep=1)
    assert {path.name for path in home.iterdir()} >= {"backup", "notes.txt"}
    assert len(list(home.iterdir())) == 4


def test_what_is_written_here_is_for_nobody_else(url, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with RunFolder(url).hold():
        home = RunFolder(url).here.parent
    assert home.parent == tmp_path and home.stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        os.chown(home, 65_534, 65_534)  # somebody else was there first
        with pytest.raises(ResourceError, match="belongs to somebody else"):
            RunFolder(url).open_draft("prices")


def test_records_are_written_here_and_put_there(url):
    run = RunFolder(url)
    with run.hold():
        folder = run.open_records()
        (folder / "run.json").write_text(json.dumps({"exit_code": 0}))
        kept = run.keep_records(folder)
    assert json.loads((run.path / "runs" / folder.name / "run.json").read_bytes()) == {"exit_code": 0}
    assert kept == run.path / "runs" / folder.name and not folder.exists()
    assert run.read_record("stages.json") is None
    run.write_record("stages.json", {"a": {}})
    assert run.read_record("stages.json") == {"a": {}}


def test_records_of_a_killed_run_are_put_there_and_those_of_this_run_stay_until_its_end(url):
    killed = RunFolder(url).open_records()
    (killed / "run.json").write_text("{}")
    run = RunFolder(url)
    with run.hold():
        folder = run.open_records()
        (folder / "run.json").write_text("{}")
        assert clear_records(run) == []
        assert [path.name for path in (run.path / "runs").iterdir()] == [killed.name]
        assert folder.exists() and not killed.exists()
