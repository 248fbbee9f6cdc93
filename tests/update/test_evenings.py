"""Evening after evening, killed and refused on the way: each file ends as the truth, or is held and named."""

import multiprocessing
import random
import time
from datetime import date

import pytest

from pipeline.errors import PipelineError
from pipeline.ingest.market_csv import parse_market_csv
from pipeline.ingest.source import open_source
from pipeline.update.bars import Bar, BarFile, format_bars
from pipeline.update.ledger import read_entries, read_ledger
from pipeline.update.plan import SETTLED
from tests.update.market import read_folder
from tests.update.stand_in import Security, evening

FORK = multiprocessing.get_context("fork")  # a child of a process that has imported everything begins at once


def make_securities(real_bars: list[dict[date, Bar]], evenings: list[date]) -> list[Security]:
    """Seventeen symbols, and nearly all that can happen to one within thirty evenings, or fewer."""
    bars = [real_bars[number % len(real_bars)] for number in range(17)]
    day = [evenings[number * len(evenings) // 30] for number in range(30)]

    def begin(number: int, first: date) -> dict[date, Bar]:
        return {other: bar for other, bar in bars[number].items() if other >= first}

    return [
        Security("A", bars[0]),
        Security("DIV", bars[1], dividends={day[4]: 0.011, day[19]: 0.002}),
        Security("SPLIT", bars[2], splits={day[6]: 4.0}),
        Security("REV", bars[3], splits={day[9]: 0.1}, dividends={day[21]: 0.03}),
        Security("BOTH", bars[4], splits={day[12]: 2.0}, dividends={day[12]: 0.01}),
        Security("TWICE", bars[5], splits={day[3]: 2.0, day[4]: 1.5}),
        Security("LATE", bars[6], late={day[2], day[7], day[8], day[26]}),
        Security("LATEDIV", bars[7], late={day[11]}, dividends={day[11]: 0.02}),
        Security("LATESPLIT", bars[8], late={day[14], day[15]}, splits={day[14]: 3.0}),
        Security("TARDY", bars[9], splits={day[10]: 4.0}, applied={day[10]: day[13]}),
        Security("EARLY", bars[10], early=set(evenings[1:-1])),
        Security("BRK.B", bars[11], yahoo="BRK-B", dividends={day[16]: 0.01}),
        Security("ETF", bars[12], kind="ETF", dividends={day[5]: 0.004}),
        Security("NEW", begin(13, day[8]), listed=day[8]),
        Security(
            "DEAD",
            {other: bar for other, bar in bars[14].items() if other < day[12]},
            gone=day[12],
            forgotten=day[15],
            dividends={day[2]: 0.01},
        ),
        Security("UNLISTED", bars[15], unlisted={day[17]: 5.0}),
        Security("REUSED", begin(16, day[9])),
    ]


def write_other(path, bars: dict[date, Bar], last: date) -> bytes:
    """A CSV of another company, which ended on a day."""
    data = format_bars({day: bar._replace(volume=7) for day, bar in bars.items() if day <= last})
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("count", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_evenings_end_equal_to_the_truth(open_market, real_bars, days, count):
    chance = random.Random(16)
    evenings = days[-count:]
    securities = make_securities(real_bars, evenings)
    market = open_market(securities, days[-count - 1])
    reused = write_other(market.root / "stocks" / "REUSED.csv", real_bars[0], evenings[0])
    killed = 0
    for number, day in enumerate(evenings):
        market.state.faults = {chance.choice(securities).symbol: [chance.choice(["reset", "html", "cut", "503"])]}
        killed += kill_an_update(market, day, chance.uniform(0, 0.3))
        check_whole(market, securities, day)
        settled = {symbol for symbol, entry in read_entries(market.root).items() if is_settled(entry, day)}
        market.state.refusals = 100 if number % 7 == 3 else number % 3
        update_until_done(market, day)
        asked = [one.symbol for symbol in market.state.log if (one := market.state.find(symbol))]
        assert not settled & set(asked), "asked twice"
        assert max((asked.count(symbol) for symbol in asked), default=0) <= 2 + 3 + 3, "a storm"
    assert killed
    ledger = read_ledger(market.root).set_index("symbol")
    held = {"UNLISTED", "REUSED"}
    assert set(ledger.index[ledger["state"] == "held"]) == held
    assert ledger["state"]["DEAD"] == "delisted"
    assert set(ledger["through"].drop([*held, "DEAD"])) == {evenings[-1].isoformat()}
    for one in securities:
        if one.symbol not in held:
            assert market.read(one.symbol) == format_bars(one.bars), one.symbol
    assert market.read("REUSED") == reused
    assert len(open_source("folder", str(market.root)).files) == len(securities)


def kill_an_update(market, day: date, delay: float) -> bool:
    """SIGKILL an update after a delay. Returns whether it was still at work."""
    market.state.now = evening(day)  # the server is here, not in the child
    victim = FORK.Process(target=market.update)
    victim.start()
    time.sleep(delay)
    victim.kill()
    victim.join()
    return victim.exitcode != 0


def check_whole(market, securities: list[Security], day: date) -> None:
    """Every file is what an update of some day leaves, whole, and ingest can read the folder."""
    open_source("folder", str(market.root))
    for path, data in read_folder(market.root).items():
        assert data.endswith(b"\n"), path
        assert format_bars(BarFile.parse(data).bars) == data, path
        assert not parse_market_csv(data).refused, path
    assert not [path for path in market.root.iterdir() if path.name.startswith(".") and path.name != ".update"]


def is_settled(entry, day: date) -> bool:
    return entry.session == day.isoformat() and entry.state in SETTLED


def update_until_done(market, day: date) -> None:
    """As somebody does who is told that Yahoo refuses: wait, and call again."""
    result = market.update(day)
    if result.stopped:
        asked = list(market.state.log)
        try:
            result.check()
        except PipelineError as error:
            assert error.exit_code in (3, 4)
        market.state.refusals = 0
        market.update(day)
        market.state.log[:0] = asked
