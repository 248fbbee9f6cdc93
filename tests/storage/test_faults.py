"""Stores that go wrong in the middle: they refuse, they hang, they forget; and names that are no plain words."""

import secrets
import signal
import subprocess
import sys
import time
from datetime import timedelta
from urllib.request import Request, urlopen

import pytest

from pipeline.datasets.places import open_place, read_table
from pipeline.datasets.run_folder import RunFolder
from pipeline.errors import ResourceError
from pipeline.ingest.source import SAMPLE, open_source
from pipeline.update.bars import format_bars
from pipeline.update.ledger import read_entries
from tests.storage.proxy import Proxy, put_between
from tests.storage.stores import SECRET
from tests.storage.test_commands import ROOT, upload
from tests.storage.test_publishing import publish, write
from tests.storage.test_updates import StoreMarket, market  # noqa: F401  a fixture
from tests.update.market import QUICK, states
from tests.update.stand_in import evening

NOTHING = b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
ODD = ["with a blank", "100%", "%2F", "é日本", "a+b", "a&b=c", "(x)", "'", "~", "CURRENT"]


@pytest.fixture
def proxy(variables, monkeypatch):
    """A server before the store, which this process and its children ask from now on."""
    with put_between(variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def test_a_store_that_refuses_in_the_middle_ends_an_update_that_the_next_goes_on_with(
    market: StoreMarket,  # noqa: F811
    proxy: Proxy,
    days,
    real_bars,
):
    """Credentials that have run out: from the second symbol on nothing is taken, nor read."""
    before = market.read("B")

    def refuse(method: str, path: str) -> int | None:
        refuse.over = refuse.over or (method == "PUT" and path.endswith("stocks/B.csv"))
        return 403 if refuse.over else None

    refuse.over = False
    proxy.fault = refuse
    with pytest.raises(ResourceError, match=r"refuses .* to the credentials") as told:
        market.update(days[-1])
    assert SECRET not in str(told.value) and "\n" not in str(told.value)
    proxy.fault = lambda method, path: None
    assert market.read("A") == format_bars(real_bars[0]) and market.read("B") == before
    assert read_entries(market.root)["A"].state == "appended"
    assert states(market.update()) == dict.fromkeys("ABC", "appended")
    assert market.state.log == ["B", "C"]


def test_a_store_that_fails_for_a_moment_is_asked_again(market: StoreMarket, proxy: Proxy, days):  # noqa: F811
    failures = [503, 500, 503]
    proxy.fault = lambda method, path: failures.pop() if failures and method == "PUT" else None
    assert states(market.update(days[-1])) == dict.fromkeys("ABC", "appended")
    assert not failures


def test_an_update_of_a_store_that_hangs_can_be_interrupted(market: StoreMarket, proxy: Proxy, days):  # noqa: F811
    proxy.fault = lambda method, path: "hang" if method == "PUT" and path.endswith("stocks/B.csv") else None
    market.state.now = evening(days[-1])
    options = ["--data-dir", market.root, "--rate", QUICK, "--as-of", market.state.now.isoformat()]
    command = [sys.executable, "-m", "pipeline.update", *map(str, options)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not any(method == "PUT" and path.endswith("stocks/B.csv") for method, path in proxy.log):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
    assert (process.returncode, "goes on from here" in errors) == (143, True), errors
    proxy.fault = lambda method, path: None
    market.update()
    assert market.state.log == ["B", "C"]


@pytest.mark.parametrize("name", ODD)
def test_names_that_are_no_plain_words(url, name, tmp_path):
    place = f"{url}/{name}"
    publish(place, 1, 2)
    assert RunFolder(place).current("prices").rows == 2
    upload(SAMPLE, f"{place}/data")
    assert len(open_source("folder", f"{place}/data").files) == len(open_source("sample").files)
    odd = open_place(f"{place}/data/stocks") / f"{name}.csv"
    odd.write_bytes(b"Date\n")
    assert [path for path in odd.parent.iterdir() if path.name == f"{name}.csv"] == [odd]
    assert odd.read_bytes() == b"Date\n" and odd.stat().st_size == 5
    odd.unlink()
    assert not odd.exists()


def test_a_name_that_begins_like_another_is_another(url):
    for name in ("market", "market2", "market/prices2", "mark"):
        publish(f"{url}/{name}", len(name))
    run = RunFolder(f"{url}/market")
    with run.hold():
        run.clear_leftovers(timedelta(0))
        run.prune_versions(1)
    assert {path.name for path in open_place(url).iterdir()} == {"market", "market2", "mark"}
    open_place(f"{url}/market").remove_below()
    assert {path.name for path in open_place(url).iterdir()} == {"market2", "mark"}
    assert RunFolder(f"{url}/market2").current("prices").rows == 1


def test_a_bucket_with_nothing_in_it_that_is_the_place_itself(variables):
    bucket = f"b{secrets.token_hex(6)}"
    urlopen(Request(f"{variables['AWS_ENDPOINT_URL']}/{bucket}", method="PUT")).close()
    root = f"s3://{bucket}"
    assert RunFolder(root).find("prices") is None
    assert not open_place(root).is_dir()
    publish(root, 1, 2, 3)
    assert RunFolder(f"{root}/").current("prices").rows == 3
    assert {path.name for path in open_place(root).iterdir()} == {"prices"}


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_machine_whose_clock_is_wrong_takes_no_living_run_for_a_dead_one(url, monkeypatch, hours):
    """Nor a version for a leftover that somebody went back from."""
    first, second = publish(url, 1), publish(url, 1, 2)
    living, _ = write(url, 1, 2, 3)
    pointer = first.path.parent / "CURRENT"
    time.sleep(1)  # a store tells the time to the second
    pointer.write_text(f"{first.path.name}\n")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    run = RunFolder(url)
    with run.hold():
        assert run.clear_leftovers(timedelta(hours=24)) == []
        assert run.clear_leftovers(timedelta(0)) == [living.attempts]
    assert second.path.is_dir()


def test_a_refusal_in_the_middle_of_publishing_leaves_the_old_version(url, proxy: Proxy):
    publish(url, 1)
    for last in ("manifest.json", "CURRENT"):
        proxy.fault = lambda method, path, last=last: 403 if method == "PUT" and path.endswith(last) else None
        with pytest.raises(ResourceError, match="refuses"):
            publish(url, 1, 2)
        assert RunFolder(url).current("prices").rows == 1
    proxy.fault = lambda method, path: None
    assert publish(url, 1, 2).rows == 2


def test_a_reader_needs_no_list(url, proxy: Proxy):
    """Where a store lists late what was put: the pointer and the manifest name all that belongs to a version."""
    publish(url, 1, 2)
    proxy.fault = lambda method, path: NOTHING if path.strip("/").count("/") == 0 else None
    assert [*open_place(url).iterdir()] == []
    version = RunFolder(url).current("prices")
    assert read_table(version.files)["n"].to_pylist() == [1, 2]
    assert publish(url, 1, 2, 3).rows == 3
