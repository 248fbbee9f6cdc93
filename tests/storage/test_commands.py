"""The project's commands on URLs: what they say where something is wrong, and that they give no credentials away."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.datasets.objects import parse_url
from pipeline.datasets.places import open_place
from pipeline.errors import InputError, ParameterError, ResourceError
from pipeline.ingest.source import SAMPLE, open_source
from tests.storage.stores import SECRET
from tests.storage.test_publishing import publish

ROOT = Path(__file__).parents[2]
NO_CLIENT = "import sys; sys.modules['obstore'] = None; sys.argv[0] = sys.argv.pop(1); import runpy; "


def call(*arguments: object, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")} | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120)
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def upload(folder: Path, url: str) -> None:
    for path in filter(Path.is_file, folder.rglob("*")):
        (open_place(url) / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


WITH_SECRETS = [
    f"s3://AKIA:{SECRET}@bucket/market",
    f"s3://{SECRET}@bucket/market",
    f"s3://bucket/market?X-Amz-Signature={SECRET}",
    f"az://container/market?sv=2024&sig={SECRET}",
]


@pytest.mark.parametrize("given", WITH_SECRETS)
def test_credentials_in_a_url_are_refused_and_not_repeated(given):
    with pytest.raises(ParameterError, match="credentials belong in the environment") as error:
        parse_url(given)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("given", ["s3://", "s3:///market", "hdfs://host/market", "ftp://host"])
def test_what_is_no_place_is_told_in_a_line(given):
    with pytest.raises(ParameterError) as error:
        open_place(given)
    assert "\n" not in str(error.value)


def test_a_run_with_credentials_in_its_url_ends_before_any_work():
    done = call("run_all.py", "--run-dir", WITH_SECRETS[0], "--dry-run")
    assert done.returncode == 2 and "credentials belong in the environment" in done.stderr
    done = call("-m", "serving", "--run-dir", WITH_SECRETS[0])
    assert done.returncode == 5 and "credentials belong in the environment" in done.stderr


def test_a_url_without_the_client_names_the_line_to_install_it(url):
    for program, run in (
        ("run_all.py", "runpy.run_path('run_all.py', run_name='__main__')"),
        ("serving", "runpy.run_module('serving', run_name='__main__')"),
        ("sql", "runpy.run_module('pipeline.sql', run_name='__main__')"),
    ):
        begin = "sys.path.insert(0, '.'); "
        done = call("-E", "-c", NO_CLIENT + begin + run, program, "--run-dir", url)
        assert done.returncode == 5, done.stderr
        assert "pip install -r deploy/storage/requirements.txt" in done.stderr


def test_a_store_that_does_not_answer_is_one_line(url):
    done = call("run_all.py", "--run-dir", url, "--dry-run", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert f"{url}/" in line and "cannot be reached" in line and "127.0.0.1" not in line


def test_a_kernel_that_sets_its_store_later_is_heard(url, store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="cannot be reached"):
        (open_place(url) / "word").write_bytes(b"hello")
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.variables["AWS_ENDPOINT_URL"])
    (open_place(url) / "word").write_bytes(b"hello")
    assert (open_place(url) / "word").read_bytes() == b"hello"


def test_a_secret_with_a_line_break_is_named_and_not_shown(url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}\n")
    with pytest.raises(ResourceError, match="AWS_SECRET_ACCESS_KEY holds a line break") as error:
        open_place(url).read_bytes()
    assert SECRET not in str(error.value)


def test_dry_run_looks_into_a_store_and_changes_nothing(url, store):
    upload(SAMPLE, f"{url}/data")
    before = len(store.log.read_text().splitlines())
    options = ["-p", "SOURCE", "folder", "-p", "DATA_DIR", f"{url}/data"]
    done = call("run_all.py", "--run-dir", f"{url}/run", "--dry-run", *options)
    assert done.returncode == 0, done.stderr
    assert f"run folder {url}/run" in done.stdout and "not run yet" in done.stdout
    asked = store.log.read_text().splitlines()[before:]
    assert {line.split()[0] for line in asked} <= {"GET", "HEAD"}


def test_a_delivery_in_a_store_is_the_one_in_a_folder(url):
    """The same files, names and fingerprint of the content; another stamp when an object is put anew."""
    upload(SAMPLE, f"{url}/data")
    here, there = open_source("folder", str(SAMPLE)), open_source("folder", f"{url}/data")
    assert [(f.symbol, f.kind, f.path, f.size) for f in there.files] == [
        (f.symbol, f.kind, f.path, f.size) for f in here.files
    ]
    assert (there.names, there.warnings) == (here.names, here.warnings)
    assert there.content_fingerprint == here.content_fingerprint
    assert there.read(there.files[0].path) == here.read(here.files[0].path)
    before = there.stat_fingerprint
    assert open_source("folder", f"{url}/data").stat_fingerprint == before
    first = open_place(f"{url}/data") / there.files[0].path
    first.write_bytes(first.read_bytes().replace(b"1", b"2", 1))
    assert open_source("folder", f"{url}/data").stat_fingerprint != before


def test_a_zip_in_a_store_is_read_as_one_in_a_folder(url, tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in filter(Path.is_file, SAMPLE.rglob("*")):
            file.write(path, f"market/{path.relative_to(SAMPLE).as_posix()}")
    (open_place(url) / "archive.zip").write_bytes(archive.read_bytes())
    here, there = open_source("folder", str(archive)), open_source("folder", f"{url}/archive.zip")
    assert there.files == here.files and there.content_fingerprint == here.content_fingerprint
    assert there.read(there.files[-1].path) == here.read(here.files[-1].path)


@pytest.mark.parametrize("what", ["nothing", "no CSV", "no metadata"])
def test_input_that_is_not_there_is_named(url, what):
    if what == "no CSV":
        (open_place(url) / "stocks" / "readme.txt").write_text("x")
    if what == "no metadata":
        (open_place(url) / "stocks" / "A.csv").write_text("Date\n")
    with pytest.raises(InputError, match=url if what != "nothing" else "is not there"):
        open_source("folder", url)


def test_sql_says_what_it_cannot_do_with_a_url(url):
    publish(url, 1)
    done = call("-m", "pipeline.sql", "--run-dir", url)
    assert done.returncode == 2 and "PostgreSQL" in done.stderr
