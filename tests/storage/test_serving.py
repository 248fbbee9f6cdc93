"""A server whose run folder is in an object store."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pipeline.datasets.run_folder import RunFolder
from serving.bundle import load_bundle
from serving.errors import UnreadableError
from tests.serving.small_model import publish_model
from tests.storage.stores import BUCKET, SECRET, start_s3

ROOT = Path(__file__).parents[2]
QUESTION = "/predict?vol_moving_avg=1000000&adj_close_rolling_med=5"


def upload(url: str, folder: Path, ratio: float) -> str:
    """Publish a model into a store as the notebook does. Returns its id."""
    small = publish_model(folder / str(ratio), "small", ratio)
    manifest = json.loads((small / "manifest.json").read_text())
    draft = RunFolder(url).open_draft("model")
    for path in small.iterdir():
        if path.name != "manifest.json":
            shutil.copy(path, draft.path)
    return draft.publish(parameters={}, inputs={"features": "0"}, extra={"model": manifest["model"]}).id


@pytest.fixture
def serve():
    """Starts `python -m serving` on a URL. Gives its address."""
    running = []

    def begin(url: str, *arguments: str, **variables: str) -> httpx.Client:
        command = [sys.executable, "-m", "serving", "--run-dir", url, "--port", "0", "--workers", "2", *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        running.append(process)
        line = process.stdout.readline()
        assert " on http://" in line, line
        return httpx.Client(base_url=line.split(" on ")[1].split()[0], timeout=10)

    yield begin
    for process in running:
        process.terminate()
        process.communicate(timeout=20)


def wait_for(condition, seconds: int = 30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return found


def find_versions(http: httpx.Client) -> set[str]:
    """Who answers: a few questions reach all workers."""
    return {httpx.get(http.base_url.join(QUESTION)).headers["X-Model-Version"] for _ in range(12)}


def test_a_server_follows_a_model_in_a_store(url, store, tmp_path, serve):
    one = upload(url, tmp_path, 1.0)
    http = serve(url)
    assert find_versions(http) == {one}
    two = upload(url, tmp_path, 2.0)
    wait_for(lambda: find_versions(http) == {two})
    asked = f"GET /{BUCKET}/{url.rpartition('/')[2]}/model"
    before = len([line for line in store.log.read_text().splitlines() if line.startswith(asked)])
    time.sleep(3)  # of rest, in which nothing is new
    after = [line for line in store.log.read_text().splitlines() if line.startswith(asked)]
    assert 1 <= len(after) - before <= 2, "one request in two seconds, however many workers there are"
    assert set(after[before:]) == {f"{asked}/CURRENT 304"}, "it asks with the tag of what it has"


def test_a_damaged_model_in_a_store_is_refused(url, tmp_path, serve):
    """One whose manifest lacks what a model's needs; one of which a file was exchanged after it was published."""
    one = upload(url, tmp_path, 1.0)
    http = serve(url)
    draft = RunFolder(url).open_draft("model")
    (draft.path / "metrics.json").write_text("{}")
    bad = draft.publish(parameters={}, inputs={}).path
    wait_for(lambda: list(http.get("/ready").json()["refused"]) == [bad.name])

    pointer = bad.parent / "CURRENT"
    before = pointer.read_bytes()
    upload(url, tmp_path, 2.0)
    name = pointer.read_text().strip()
    pointer.write_bytes(before)
    (bad.parent / name / "metrics.json").write_text("{}")
    pointer.write_text(f"{name}\n")
    assert "checksum" in wait_for(lambda: http.get("/ready").json()["refused"].get(name))
    assert find_versions(http) == {one}


@pytest.mark.slow
def test_the_last_good_model_goes_on_while_the_store_is_away(tmp_path, serve, monkeypatch):
    with start_s3() as away:
        for name, value in away.variables.items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/market"
        one = upload(url, tmp_path, 1.0)
        http = serve(url)
        assert http.get("/ready").json()["refused"] == {}
    port = int(away.variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    told = wait_for(lambda: http.get("/ready").json()["refused"])[url]
    assert "cannot be read" in told and "goes on" in told
    assert http.get("/ready").status_code == 200 and find_versions(http) == {one}
    with start_s3(port=port):  # an empty one: the model was lost with the old
        wait_for(lambda: "There is no model" in str(http.get("/ready").json()["refused"]))
        two = upload(url, tmp_path, 2.0)
        wait_for(lambda: find_versions(http) == {two})
        assert http.get("/ready").json()["refused"] == {}


def test_a_notebook_loads_a_bundle_by_its_url(url, tmp_path):
    with pytest.raises(UnreadableError, match="There is no model"):
        load_bundle(url)
    one = upload(url, tmp_path, 1.0)
    assert load_bundle(url).version == one


def run_server(url: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "serving", "--run-dir", url, "--port", "0"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, text=True, capture_output=True, timeout=60)


def test_a_server_that_cannot_reach_its_model_says_so(url):
    done = run_server(url)
    assert done.returncode == 8 and f"There is no model in {url}" in done.stderr
    done = run_server(url, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 8 and f"{url} cannot be read" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_serving_from_a_store_needs_no_pyarrow(url, tmp_path):
    """Nor Spark, nor pandas: where importing them fails a bundle is loaded all the same."""
    upload(url, tmp_path, 1.0)
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('pyarrow', 'pyspark', 'pandas', 'pipeline'))\n"
        "from serving.watch import ModelWatch\n"
        f"print(ModelWatch({url!r}).load().champion)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert done.stdout == "grid\n", done.stderr
