"""A bundle proves itself before it answers, and a new one takes over without a pause."""

import hashlib
import json
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import make_current, publish_model

from serving.app import create_app
from serving.bundle import load_bundle
from serving.errors import BundleError
from serving.server import Server
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


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damage_is_refused(tmp_path):
    folder = publish_model(tmp_path, "damaged")
    (folder / "model.json").write_text((folder / "model.json").read_text().replace("0.9", "0.8", 1))
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    folder = publish_model(tmp_path, "newer")
    facts = json.loads((folder / "manifest.json").read_text())["model"]
    edit(folder / "manifest.json", model={**facts, "format": 2})
    with pytest.raises(BundleError, match="format 2"):
        load_bundle(tmp_path)


def test_wrong_answers_are_refused(tmp_path):
    """Checksums fit, but the model answers otherwise than it did in training."""
    folder = publish_model(tmp_path, "wrong")
    golden = json.loads((folder / "golden.json").read_text())
    golden["same_day"][5]["volume"] += 1
    (folder / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((folder / "manifest.json").read_text())
    edit(folder / "manifest.json", files=[
        {**file, "sha256": sum_file(folder / file["name"])} for file in manifest["files"]
    ])  # fmt: skip
    with pytest.raises(BundleError, match="golden"):
        load_bundle(tmp_path)


def sum_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_model_names_what_to_run(tmp_path):
    with pytest.raises(BundleError, match=r"run_all\.py"):
        load_bundle(tmp_path)


def wait_for(answer: tuple, seen: list) -> None:
    while answer not in seen:
        time.sleep(0.01)


def test_models_are_exchanged_under_load(tmp_path):
    """Good versions take over, a damaged one is refused and shown, and no request fails meanwhile."""
    publish_model(tmp_path, "one", ratio=1.0)
    models = ModelWatch(tmp_path)
    models.load()
    server = Server(create_app(models)).start()
    ended, seen = threading.Event(), []

    def ask():
        with httpx.Client(base_url=server.url) as client:
            while not ended.is_set():
                answer = client.get("/predict?vol_moving_avg=1000000&adj_close_rolling_med=5")
                seen.append((answer.status_code, answer.headers["X-Model-Version"], answer.json()))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    wait_for((200, "one", 1_000_000), seen)
    models.follow()
    publish_model(tmp_path, "two", ratio=2.0)
    wait_for((200, "two", 2_000_000), seen)
    models.stop()
    bad = publish_model(tmp_path, "bad", ratio=3.0)
    (bad / "model.json").write_text("{")
    models.look()
    ready = httpx.get(server.url + "/ready").json()
    make_current(tmp_path, "two")
    models.look()
    wait_for((200, "two", 2_000_000), seen)
    ended.set()
    for asker in askers:
        asker.join()
    server.stop()
    assert ready["model"]["version"] == "two"
    assert list(ready["refused"]) == ["bad"]
    assert set(seen) == {(200, "one", 1_000_000), (200, "two", 2_000_000)}
