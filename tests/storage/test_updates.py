"""A market in an object store kept current, from machines that share nothing: the same bytes as in a folder."""

import json
import os
import random
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

import psutil
import pytest

from pipeline.datasets import lease
from pipeline.datasets.places import Place, open_place
from pipeline.errors import InputError, LockedError, ResourceError
from pipeline.ingest.source import open_source
from pipeline.update.bars import BarFile, format_bars
from pipeline.update.folder import HOME, JOURNAL, hold_folder
from pipeline.update.followed import choose_symbols
from pipeline.update.ledger import LEDGER, UP_TO_DATE, Entry, open_ledger, read_entries
from pipeline.update.market import update_folder
from tests.storage import machines
from tests.storage.stores import SECRET
from tests.storage.test_commands import upload
from tests.update.market import QUICK, Market, read_folder, rows_until, states
from tests.update.stand_in import Security, evening
from tests.update.test_evenings import is_settled, make_securities, write_other

LOCK = f"{HOME}/lock"


@pytest.fixture(params=["s3", pytest.param("azure", marks=pytest.mark.slow)])
def store(request):
    """Updates are tried on stores of several makers."""
    return request.getfixturevalue(f"{request.param}_store")


class StoreMarket(Market):
    """The market of a folder, uploaded, and the stand-in that both are updated from."""

    def __init__(self, market: Market, url: str) -> None:
        upload(market.root, url)
        super().__init__(open_place(url), market.state)

    def read(self, symbol: str) -> bytes:
        (data,) = (data for path, data in self.read_all().items() if path.endswith(f"/{symbol}.csv"))
        return data

    def read_all(self) -> dict[str, bytes]:
        """Path below the folder -> bytes, of all CSVs."""
        kinds = [self.root / kind for kind in ("etfs", "stocks")]
        return {f"{kind.name}/{path.name}": path.read_bytes() for kind in kinds for path in kind.iterdir()}


@pytest.fixture
def market(open_market, real_bars, days, url) -> StoreMarket:
    """Three symbols that lack three days."""
    return StoreMarket(open_market([Security(name, real_bars[0]) for name in "ABC"], days[-4]), url)


def update(line, root: Place, now: datetime) -> str:
    """Update on another machine. Returns how many symbols it asked for."""
    return f"asked {update_folder(root, rate=QUICK, now=now, tell=lambda text: None).asked}"


@pytest.fixture
def start(variables, tmp_path):
    """`start(market, "name of a machine")`: an update there, on the evening of the stand-in's clock."""
    running = []

    def begin(market: StoreMarket, name: str) -> machines.Machine:
        addresses = {name: os.environ[name] for name in ("YAHOO_URL", "NASDAQ_URL")}
        arguments = (market.root, market.state.now)
        running.append(machines.start(tmp_path / name, variables | addresses, update, *arguments))
        return running[-1]

    yield begin
    for one in running:
        one.kill()


@pytest.fixture
def be_machine(tmp_path, monkeypatch):
    """`be_machine("name")`: this process is on the machine of that name from now on."""

    def become(name: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    return become


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_evenings_in_a_store_end_in_the_bytes_of_a_folder(open_market, real_bars, days, url, start, be_machine, count):
    """Killed on the way, and refused: nobody is asked twice, and each object is whole at every moment."""
    chance = random.Random(14)
    evenings = days[-count:]
    here = open_market(make_securities(real_bars, evenings), days[-count - 1])
    write_other(here.root / "stocks" / "REUSED.csv", real_bars[0], evenings[0])
    there = StoreMarket(here, url)
    be_machine("one")
    killed = 0
    for number, day in enumerate(evenings):
        here.update(day)
        there.state.refusals = number % 3
        victim = start(there, "one")
        time.sleep(chance.uniform(0, 1))
        victim.kill()
        killed += victim.process.exitcode != 0
        open_source("folder", url)
        assert all(format_bars(BarFile.parse(data).bars) == data for data in there.read_all().values())
        settled = {symbol for symbol, entry in read_entries(there.root).items() if is_settled(entry, day)}
        there.state.refusals = 0
        there.update(day)
        asked = {one.symbol for symbol in there.state.log if (one := there.state.find(symbol))}
        assert not settled & asked, "asked twice"
        assert there.read_all() == read_folder(here.root)
        assert describe(there.root) == describe(here.root)
    assert killed


def describe(root: Place) -> dict[str, tuple[str, str, int]]:
    """Symbol -> what the ledger says of its file."""
    return {
        symbol: (entry.state in UP_TO_DATE, entry.through, entry.rows) for symbol, entry in read_entries(root).items()
    }


def test_a_store_is_begun_and_kept_like_a_folder(market, url, days, real_bars):
    assert states(market.update(days[-1])) == dict.fromkeys("ABC", "appended")
    assert market.read("A") == format_bars(real_bars[0])
    market.update()
    assert market.state.log == []
    (market.root / "stocks" / "B.csv").write_bytes(format_bars(rows_until(real_bars[0], days[-3])))
    assert states(market.update()) == {"A": "appended", "B": "appended", "C": "appended"}
    assert market.state.log == ["B"], "whose object somebody has exchanged"
    assert not [path for path, _ in market.root.walk() if SECRET.encode() in path.read_bytes()]
    market.root = open_place(f"{url}-fresh/with a blank, 100% é")
    assert states(market.update(full=True)) == dict.fromkeys("ABC", "new")
    assert {path.name for path in market.root.iterdir()} == {HOME, "stocks", LEDGER, "symbols_valid_meta.csv"}
    assert open_source("folder", str(market.root)).names["A"] == "A Inc."
    assert choose_symbols("", "folder", str(market.root)) == ["A", "B", "C"]


def test_a_second_update_says_who_is_at_work(market, start, days):
    market.state.now = evening(days[-1])
    market.state.faults = {"B": ["hang"]}
    first = start(market, "one")
    assert market.state.hanging.wait(60)
    with pytest.raises(
        LockedError, match=f"Another update holds .*process {first.process.pid} on .*, since 20"
    ) as told:
        market.update()
    assert f"{datetime.now(UTC):%Y-%m-%d}" in str(told.value)
    second = start(market, "one")  # where a lock tells it, without a look into the store
    assert "LockedError: Another update holds" in second.take()
    market.state.released.set()
    assert first.take() == "asked 3"
    assert market.update().asked == 0


def test_a_holder_that_died_elsewhere_is_waited_for_and_one_of_this_machine_is_not(market, start, be_machine, days):
    market.state.now = evening(days[-1])
    market.state.faults = {"B": ["hang"]}
    victim = start(market, "one")
    assert market.state.hanging.wait(60)
    victim.kill()
    be_machine("other")
    with pytest.raises(LockedError, match="Another update holds"):
        market.update()
    be_machine("one")
    market.update()
    assert market.state.log == ["B", "C"]


def test_who_gives_no_sign_is_taken_over_and_can_write_nothing_more(market, start, monkeypatch, days, real_bars):
    """A machine sleeps in the middle of an update and wakes up when another has done its work."""
    market.state.now = evening(days[-2])
    market.state.faults = {"B": ["slow"]}
    sleeper = start(market, "one")
    assert market.state.hanging.wait(60)
    psutil.Process(sleeper.process.pid).suspend()
    monkeypatch.setattr(lease, "LIFETIME", -1.0)
    market.update(days[-1])
    done = market.read_all(), (market.root / LEDGER).read_bytes()
    psutil.Process(sleeper.process.pid).resume()
    market.state.released.set()
    assert "was replaced by somebody else meanwhile. All files are whole" in sleeper.take()
    assert (market.read_all(), (market.root / LEDGER).read_bytes()) == done
    assert market.read("B") == format_bars(real_bars[0])
    monkeypatch.undo()


def test_a_holder_gives_signs_for_as_long_as_it_is_at_work(url, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL", 0.1)
    lock, seen = open_place(url) / LOCK, set()
    with hold_folder(open_place(url)):
        deadline = time.monotonic() + 60
        while len(seen) < 3:
            seen.add(lock.read_text())
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert len({json.loads(text)["sign"] for text in seen}) == 3
    assert len({json.loads(text)["token"] for text in seen}) == 1
    assert lock.read_bytes() == b""


def test_who_was_taken_over_learns_it_with_the_next_sign(url, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL", 0.1)
    with hold_folder(open_place(url)) as folder:
        (folder.root / LOCK).write_text("{}")
        time.sleep(1)
        with pytest.raises(LockedError, match="Another update holds"):
            folder.replace(folder.metadata, b"")
    assert (open_place(url) / LOCK).read_text() == "{}", "the other's claim stays"


@pytest.mark.parametrize("text", ["{}", "[]", "[" * 100_000, "\0", '{"holder": 1}', "null"])
def test_a_claim_that_cannot_be_read_is_somebodys_until_it_is_old(url, monkeypatch, text):
    (open_place(url) / LOCK).write_text(text)
    with pytest.raises(LockedError, match="somebody"), hold_folder(open_place(url)):
        pass
    monkeypatch.setattr(lease, "LIFETIME", -1.0)
    with hold_folder(open_place(url)):
        pass
    assert (open_place(url) / LOCK).read_bytes() == b""


def test_a_claim_is_as_old_as_the_store_says(url):
    """Neither its holder's clock nor that of who asks matters."""
    claim = lease.Claim(
        "process 7\x1b[31m on far", "1999-01-01 00:00 UTC", "there", "token", "1999-01-01T00:00:00+00:00"
    )
    (open_place(url) / LOCK).write_text(json.dumps(asdict(claim)))
    with pytest.raises(LockedError, match=r"\(process 7\[31m on far, since 1999") as told, hold_folder(open_place(url)):
        pass
    assert str(told.value).isprintable()
    assert [path.name for path in (open_place(url) / HOME).iterdir()] == ["lock"]


def test_what_somebody_else_exchanged_meanwhile_is_not_overwritten(market, start, days):
    market.state.now = evening(days[-1])
    market.state.faults = {"B": ["slow"]}
    first = start(market, "one")
    assert market.state.hanging.wait(60)
    (market.root / "stocks" / "B.csv").write_bytes(b"mine")
    market.state.released.set()
    assert "B.csv was replaced by somebody else meanwhile" in first.take()
    assert market.read("B") == b"mine"


def test_lines_of_many_symbols_cost_a_request_each_and_none_is_lost(url, store):
    root = open_place(url)
    with hold_folder(root) as folder:
        with suppress(KeyError), open_ledger(folder) as ledger:
            for number in range(230):
                ledger.put(f"S{number}", Entry("held", note="why " * 20))
            assert read_entries(root).keys() == {f"S{number}" for number in range(230)}
            segments = list((root / JOURNAL).iterdir())
            assert len(segments) == 3
            assert max(path.stat().st_size for path in segments) < 100 * 200
            raise KeyError
        assert not (root / JOURNAL).is_dir()
    assert len(read_entries(root)) == 230


def test_a_place_that_cannot_be_kept_current_is_named(url, store):
    nowhere = f"{store.root}-that-is-not-there"
    (open_place(url) / "archive.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"archive.zip is not a folder"), hold_folder(open_place(f"{url}/archive.zip")):
        pass
    with pytest.raises(ResourceError, match="See that the bucket is there"), hold_folder(open_place(nowhere)):
        pass
    with pytest.raises(ResourceError, match=f"there is no {nowhere}"):
        open_place(f"{nowhere}/A.csv").write_bytes(b"")
