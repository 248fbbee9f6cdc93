"""Kaggle as a source: the real client, whose cache already holds the data set, so no network is needed."""

import shutil
import subprocess
import sys

from pipeline.source import KAGGLE_DATASET, SAMPLE, open_source

OPEN = "from pipeline.source import open_source; print(open_source('kaggle').content_fingerprint)"


def test_kaggle_answers_from_its_cache(tmp_path, monkeypatch):
    folder = tmp_path / "datasets" / KAGGLE_DATASET
    shutil.copytree(SAMPLE, folder)
    (folder.parents[1] / f"{folder.name}.complete").touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    # In a process of its own, since the client reads its settings when it is imported.
    done = subprocess.run([sys.executable, "-c", OPEN], cwd=SAMPLE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.split()[-1] == open_source("sample").content_fingerprint
