"""Yahoo's daily prices, by yfinance, at a rate that is no burden to it.

yfinance takes a session of our own, so everything that it asks goes through one place: there it waits for its turn, a
refusal makes it wait longer, and a server that stands in for Yahoo can be asked instead.
"""

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from datetime import date, timedelta
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import yfinance
from curl_cffi import requests
from curl_cffi.requests.session import HttpMethod
from yfinance.config import YfConfig
from yfinance.exceptions import YFPricesMissingError

from pipeline.update.bars import Answer, Bar, Split

ADDRESS_VARIABLE = "YAHOO_URL"
STAND_IN_HEADER = "X-Stand-In-For"
NEW_YORK = "America/New_York"
CHART = "/finance/chart/"
REFUSALS = (429, 999)  # 999 is Yahoo's own
NO_ROWS = b"Data doesn't exist"  # what Yahoo says, with a 400, of a range without any
FIRST_PAUSE = 30  # turns; it doubles with each refusal in a row
PATIENCE = 30  # seconds
BLINK = 0.5  # seconds
PRICES = ("Open", "High", "Low", "Close", "Adj Close")


class NoRowsError(Exception):
    """Yahoo knows no such symbol, or has no rows of it in the range."""


class RefusedError(Exception):
    """Yahoo refuses to answer for now: it was asked too often."""


class NoAnswerError(Exception):
    """No answer, or one that cannot be read. The message says why."""


class Worker:
    """A thread that waits for servers, so that a signal need not: Python handles none while curl is at work.

    One for all requests, for curl keeps its connections by thread.
    """

    def __init__(self) -> None:
        self.jobs: SimpleQueue[tuple[Callable[[], requests.Response], Future[requests.Response]] | None] = SimpleQueue()
        Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while (given := self.jobs.get()) is not None:
            job, done = given
            try:
                done.set_result(job())
            except Exception as error:
                done.set_exception(error)

    def run(self, job: Callable[[], requests.Response]) -> requests.Response:
        done: Future[requests.Response] = Future()
        self.jobs.put((job, done))
        while not done.done():  # one long wait would sleep through a signal that comes just before it
            wait([done], BLINK)
        return done.result()


class PoliteSession(requests.Session[requests.Response]):
    """A session that takes turns: at most `rate` requests a second.

    A refusal halves the rate for the rest of the session and is followed by a pause that doubles with each one in a
    row. base: the address of a stand-in, which gets every request with the host that it was meant for in a header.
    """

    def __init__(self, rate: float, base: str | None = None) -> None:
        super().__init__(impersonate="chrome", trust_env=base is None)  # a stand-in is asked through no proxy
        self.turn = 1 / rate
        self.base = base
        self.next_turn = 0.0
        self.sent = 0
        self.refusals = 0  # in a row
        self.worker = Worker()
        self.asked_once: dict[str, requests.Response | Exception] = {}

    # Any: what yfinance passes is none of ours, it goes on as it is.
    def request(self, method: HttpMethod, url: str, *args: Any, **options: Any) -> requests.Response:
        if CHART in url:
            response = self.send(method, url, *args, **options)
            self.refusals = 0
            check_chart(response)
            return response
        # Where yfinance gets no cookie, or can keep none, it would ask for one before each request for prices.
        if url not in self.asked_once:
            try:
                self.asked_once[url] = self.send(method, url, *args, **options)
            except requests.exceptions.RequestException as error:
                self.asked_once[url] = error
        answer = self.asked_once[url]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send(self, method: HttpMethod, url: str, *args: Any, **options: Any) -> requests.Response:
        """Send a request when its turn has come. Raises RefusedError."""
        time.sleep(self.pause)
        self.next_turn = time.monotonic() + self.turn * random.uniform(1, 1.2)
        parts = urlsplit(url)
        if self.base:
            options["headers"] = {**(options.get("headers") or {}), STAND_IN_HEADER: parts.netloc}
            url = urlunsplit((*urlsplit(self.base)[:2], parts.path, parts.query, ""))
        self.sent += 1
        response = self.worker.run(partial(super().request, method, url, *args, **options))
        if response.status_code in REFUSALS:
            self.slow_down()
            raise RefusedError  # not yfinance's own: after that one it would ask up to five times more
        return response

    @property
    def pause(self) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self.next_turn - time.monotonic())

    def slow_down(self) -> None:
        self.refusals += 1
        self.turn *= 2
        self.next_turn = time.monotonic() + self.turn * FIRST_PAUSE * 2 ** (self.refusals - 1)


def check_chart(response: requests.Response) -> None:
    """Raise for an answer without prices, before yfinance asks again with other cookies. A 401 is left to it: there the
    cookie may be why.
    """
    status = response.status_code
    if status == 404 or (status == 400 and NO_ROWS in response.content):
        raise NoRowsError
    if status >= 400 and status not in (401, 403):
        raise NoAnswerError(f"HTTP status {status}")


class Yahoo:
    """Asks for one symbol after the other. rate: requests a second at most."""

    def __init__(self, rate: float) -> None:
        YfConfig.debug.hide_exceptions = False
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what goes wrong is told by the outcome of the symbol
        self.session = PoliteSession(rate, os.environ.get(ADDRESS_VARIABLE) or None)

    def close(self) -> None:
        self.session.worker.jobs.put(None)

    @property
    def requests(self) -> int:
        return self.session.sent

    @property
    def pause(self) -> float:
        return self.session.pause

    def ask(self, symbol: str, first: date, final: date) -> Answer:
        """A symbol, in Yahoo's spelling, from `first` to `final`, both included.

        Raises NoRowsError, RefusedError or NoAnswerError.
        """
        ticker = yfinance.Ticker(symbol, session=self.session)
        ticker._tz = NEW_YORK  # else a second request for each symbol, only to learn this
        # Until tomorrow, though only `final` is wanted: a split of today has changed all prices, so it must be among
        # the events. And yfinance keeps answers that end in the past, for as long as the process lives.
        end = pd.Timestamp.now(NEW_YORK).date() + timedelta(days=2)
        try:
            frame = ticker.history(start=first, end=end, auto_adjust=False, actions=True, keepna=True, timeout=PATIENCE)
            facts = ticker.history_metadata
        except (NoRowsError, RefusedError, NoAnswerError):
            raise
        except YFPricesMissingError as error:
            if ticker.history_metadata.get("symbol"):
                raise NoRowsError from error
            raise NoAnswerError(f"no prices: {error.yahoo_reason or 'an empty answer'}") from error
        except Exception as error:  # whatever a client that somebody else writes may raise on what a server may send
            raise NoAnswerError(f"{type(error).__name__}: {error}"[:200]) from error
        return read_answer(symbol, frame, facts, final)


def read_answer(symbol: str, frame: pd.DataFrame, facts: Mapping[str, object], final: date) -> Answer:
    """Bars, splits and facts out of a DataFrame of yfinance, a row a day, in New York's time."""
    first_trade = facts.get("firstTradeDate")
    days = [stamp.date() for stamp in frame.index]
    columns = (frame[name].tolist() for name in (*PRICES, "Volume"))
    bars = {day: Bar(*values) for day, *values in zip(days, *columns, strict=True) if day <= final}
    whole = {day: bar for day, bar in bars.items() if bar.is_whole()}
    ratios = zip(days, frame["Stock Splits"].tolist(), strict=True)
    return Answer(
        symbol=str(facts.get("symbol", symbol)),
        kind=str(facts.get("instrumentType", "")),
        first_trade=first_trade.date() if isinstance(first_trade, pd.Timestamp) else None,
        bars=whole,
        incomplete=frozenset(bars.keys() - whole.keys()),
        splits=tuple(Split(day, ratio) for day, ratio in ratios if ratio > 0 and ratio != 1),
    )
