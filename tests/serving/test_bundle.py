"""A bundle proves itself before it answers, and a new one takes over without a pause."""

import json
import re
import shutil
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from in_process import start_worker
from small_model import list_files, make_current, publish_model, read_version, write_manifest

from serving.app import create_app
from serving.bundle import load_bundle
from serving.errors import BundleError
from serving.watch import ModelWatch


def test_one_by_one_and_all_at_once_give_the_same_integers(run_dir):
    model = load_bundle(run_dir).model
    random = np.random.default_rng(1)
    volumes, prices = 10 ** random.uniform(0, 15, 5_000), random.normal(20, 30, 5_000)
    singly = [model.answer(*question) for question in zip(volumes.tolist(), prices.tolist(), strict=True)]
    assert singly == model.answer_all(volumes, prices)
    assert all(0 <= answer.low <= answer.volume <= answer.high for answer in singly)


def test_an_edge_belongs_to_the_upper_cell(run_dir):
    model = load_bundle(run_dir).model
    assert [model.answer(1e6, price).volume for price in (9.999, 10.0)] == [900_000, 920_000]


def edit(folder: Path, **changes) -> None:
    write_manifest(folder, json.loads((folder / "manifest.json").read_text()) | changes)


def test_damage_is_refused(tmp_path):
    folder = publish_model(tmp_path, "damaged")
    (folder / "model.json").write_text((folder / "model.json").read_text().replace("0.9", "0.8", 1))
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    folder = publish_model(tmp_path, "newer")
    facts = json.loads((folder / "manifest.json").read_text())["model"]
    edit(folder, model={**facts, "format": 2})
    with pytest.raises(BundleError, match="format 2"):
        load_bundle(tmp_path)


def test_wrong_answers_are_refused(tmp_path):
    """Checksums fit, but the model answers otherwise than it did in training."""
    folder = publish_model(tmp_path, "wrong")
    golden = json.loads((folder / "golden.json").read_text())
    golden["same_day"][5]["volume"] += 1
    (folder / "golden.json").write_text(json.dumps(golden))
    edit(folder, files=list_files(folder))
    with pytest.raises(BundleError, match="golden"):
        load_bundle(tmp_path)


def test_no_flipped_bit_of_a_manifest_goes_unseen(tmp_path):
    """Every byte in turn, each with another bit: the bundle is refused, and whoever watches goes on."""
    manifest = publish_model(tmp_path, "flipped") / "manifest.json"
    whole = manifest.read_bytes()
    models = ModelWatch(tmp_path)
    for at in range(len(whole)):
        manifest.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            bundle = load_bundle(tmp_path)
        except BundleError:
            continue
        assert bundle.manifest == json.loads(whole)  # a blank became another blank
    manifest.write_bytes(whole)
    models.look()
    assert models.bundle.manifest == json.loads(whole)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[]",
        "null",
        '"text"',
        "{}",
        '{"version": "", "files": 3}',
        '{"version": null, "model": []}',
        "\0",
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("file", ["manifest.json", "model.json", "golden.json", "metrics.json", "symbols.jsonl"])
def test_no_content_of_a_file_ends_the_watch(tmp_path, file, content):
    """Though the manifest lists it with its right checksum."""
    publish_model(tmp_path, "one")
    models = ModelWatch(tmp_path)
    models.load()
    folder = publish_model(tmp_path, "odd")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / file).write_text(content)
    if file != "manifest.json":
        write_manifest(folder, manifest | {"files": list_files(folder)})
    models.look()
    answers = [create_app(models).test_client().get(path) for path in ("/", "/forecast/AAPL", "/symbols", "/ready")]
    assert {answer.status_code for answer in answers} <= {200, 404}
    if file in ("manifest.json", "model.json", "golden.json"):
        assert list(models.refused) == ["odd"]
        with pytest.raises(BundleError):  # as a server that starts then says it
            load_bundle(tmp_path)
    publish_model(tmp_path, "two")
    models.look()
    assert models.bundle.path.name == "two"


@pytest.mark.parametrize(
    "facts",
    [
        {"ranges": {"vol_moving_avg": [float("nan"), 1.0], "adj_close_rolling_med": [0.0, 1.0]}},
        {"ranges": {"vol_moving_avg": [2.0, 1.0], "adj_close_rolling_med": [0.0, 1.0]}},
        {"ranges": {"vol_moving_avg": [0.0, 1.0]}},
        {"champion": None},
        {"trained": ["2000-01-03"]},
    ],
    ids=str,
)
def test_a_manifest_that_lacks_what_answers_need_is_refused(tmp_path, facts):
    folder = publish_model(tmp_path, "lacking")
    model = json.loads((folder / "manifest.json").read_text())["model"]
    edit(folder, model=model | facts)
    with pytest.raises(BundleError, match="not a whole model bundle"):
        load_bundle(tmp_path)


def test_a_file_that_was_not_published_is_refused(tmp_path):
    folder = publish_model(tmp_path, "more")
    (folder / ".hidden").touch()  # of a file system or a desktop; nobody reads it
    load_bundle(tmp_path)
    (folder / "symbols.jsonl.bak").touch()
    with pytest.raises(BundleError, match=r"symbols\.jsonl\.bak is no part"):
        load_bundle(tmp_path)


def test_no_model_names_what_to_run(tmp_path):
    with pytest.raises(BundleError, match=r"run_all\.py"):
        load_bundle(tmp_path)


def test_a_model_that_is_gone_names_what_trains_it_again(tmp_path):
    shutil.rmtree(publish_model(tmp_path, "gone"))
    remedy = r"gone.* python run_all\.py --from train"
    with pytest.raises(BundleError, match=remedy):
        load_bundle(tmp_path)
    models = ModelWatch(tmp_path)
    models.look()
    assert re.search(remedy, models.refused["gone"])


def test_a_model_that_comes_after_the_server_is_ready_without_reproach(tmp_path):
    models = ModelWatch(tmp_path)
    client = create_app(models).test_client()
    models.look()
    waiting = client.get("/ready")
    assert (waiting.status_code, "run_all.py" in waiting.json["error"]) == (503, True)
    publish_model(tmp_path, "first")
    models.look()
    assert client.get("/ready").json["refused"] == {}


def test_a_version_that_could_not_be_read_is_tried_again(tmp_path):
    publish_model(tmp_path, "one")
    models = ModelWatch(tmp_path)
    models.load()
    golden = publish_model(tmp_path, "two") / "golden.json"
    golden.rename(tmp_path / "away")
    models.look()
    assert (models.bundle.path.name, list(models.refused)) == ("one", ["two"])
    (tmp_path / "away").rename(golden)
    models.look()
    assert (models.bundle.path.name, models.refused) == ("two", {})


def test_a_version_that_failed_its_checks_is_not_tried_again(tmp_path):
    model = publish_model(tmp_path, "bad") / "model.json"
    good = model.read_bytes()
    models = ModelWatch(tmp_path)
    model.write_text("{")
    models.look()
    model.write_bytes(good)
    models.look()
    assert (models.bundle, list(models.refused)) == (None, ["bad"])


@pytest.mark.parametrize("content", [b"../other", b"\xff"])
def test_a_pointer_that_is_no_name_does_not_end_the_watch(tmp_path, content):
    publish_model(tmp_path, "one")
    models = ModelWatch(tmp_path)
    (tmp_path / "model" / "CURRENT").write_bytes(content)
    models.look()
    assert models.refused
    make_current(tmp_path, "one")
    models.look()
    assert (models.bundle.path.name, models.refused) == ("one", {})


def wait_for(answer: tuple, seen: list) -> None:
    while answer not in seen:
        time.sleep(0.01)


def test_models_are_exchanged_under_load(tmp_path):
    """Good versions take over, a damaged one is refused and shown, and no request fails meanwhile."""
    one = read_version(publish_model(tmp_path, "one", ratio=1.0))
    models = ModelWatch(tmp_path)
    models.load()
    server = start_worker(create_app(models))
    ended, seen = threading.Event(), []

    def ask():
        with httpx.Client(base_url=server.url) as client:
            while not ended.is_set():
                answer = client.get("/predict?vol_moving_avg=1000000&adj_close_rolling_med=5")
                seen.append((answer.status_code, answer.headers["X-Model-Version"], answer.json()))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    wait_for((200, one, 1_000_000), seen)
    models.follow()
    two = read_version(publish_model(tmp_path, "two", ratio=2.0))
    wait_for((200, two, 2_000_000), seen)
    models.stop()
    bad = publish_model(tmp_path, "bad", ratio=3.0)
    (bad / "model.json").write_text("{")
    models.look()
    ready = httpx.get(server.url + "/ready").json()
    make_current(tmp_path, "two")
    models.look()
    wait_for((200, two, 2_000_000), seen)
    ended.set()
    for asker in askers:
        asker.join()
    server.stop()
    assert ready["model"]["version"] == two
    assert list(ready["refused"]) == ["bad"]
    assert set(seen) == {(200, one, 1_000_000), (200, two, 2_000_000)}
