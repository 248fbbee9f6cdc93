"""A server that stands in for Yahoo and for NASDAQ, on loopback: daily charts, cookie and crumb, the symbol directory.

It tells what would have been known at the instant `now`: rows up to then, on the basis of then. A dividend or split
lies in the future of an earlier day, so that day is told on another basis, as Yahoo would have told it; the last day's
basis is that of the truth.
"""

import json
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.update.bars import Bar
from pipeline.update.listing import COLUMNS

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE = time(9, 30), time(16)
CHART = "/v8/finance/chart/"
NOT_FOUND = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
NO_DATA = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}


@dataclass
class Security:
    """A symbol and what happens to it. bars: the truth, on the basis of its last day. yahoo: Yahoo's spelling.

    splits, dividends: day -> ratio, or share of the price that is paid out. unlisted: splits that Yahoo does not tell
    of. applied: day -> when Yahoo begins to divide earlier prices by the split of that day. late: days whose row is
    blank on their own evening. early: days whose Volume is too low on their own evening. listed, gone: first and last
    day in the directory. forgotten: from when on Yahoo has nothing. began: what Yahoo tells as the first day. renamed:
    the symbol that Yahoo answers with.
    """

    symbol: str
    bars: dict[date, Bar]
    yahoo: str = ""
    kind: str = "EQUITY"
    splits: dict[date, float] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    unlisted: dict[date, float] = field(default_factory=dict)
    applied: dict[date, date] = field(default_factory=dict)
    late: set[date] = field(default_factory=set)
    early: set[date] = field(default_factory=set)
    listed: date = date.min
    gone: date = date.max
    forgotten: date = date.max
    began: date | None = None
    renamed: str = ""

    def tell(self, day: date, today: date) -> Bar | None:
        """The bar of a day as it is known today; None for a blank one."""
        if day == today and day in self.late:
            return None
        bar = self.bars[day]
        splits = self.splits | self.unlisted
        ratios = [ratio for when, ratio in splits.items() if day < when and self.applied.get(when, when) > today]
        split = prod(ratios)
        paid = prod(1 - share for when, share in self.dividends.items() if when > today)
        if day == today and day in self.early:
            bar = bar._replace(volume=bar.volume * 9 // 10)
        if split == paid == 1:
            return bar
        prices = [as_yahoo(price * split) for price in bar[:4]]
        return Bar(*prices, as_yahoo(bar.adj_close * split / paid), int(bar.volume / split))

    def view(self, today: date) -> dict[date, Bar]:
        """What a file that was fetched at the evening of `today` holds."""
        told = {day: self.tell(day, today) for day in self.bars if day <= today}
        return {day: bar for day, bar in told.items() if bar is not None}


def as_yahoo(price: float) -> float:
    """Yahoo's prices are 32 bit floats."""
    return float(np.float32(price))


def stamp(day: date, at: time = OPEN) -> int:
    return int(datetime.combine(day, at, NEW_YORK).timestamp())


class StandIn:
    """The server's state. now: what time it is. log: the symbols of the chart requests, in their order.

    refusals: how many of the next chart requests to refuse. faults: symbol -> what goes wrong with its next requests.
    """

    def __init__(self, securities: list[Security], now: datetime):
        self.securities = {one.symbol: one for one in securities}
        self.now = now
        self.log: list[str] = []
        self.hosts: Counter[str] = Counter()
        self.refusals = 0
        self.faults: dict[str, list[str]] = {}
        self.directory: str | None = None  # instead of the one made of the securities
        self.url = ""

    def list_symbols(self) -> str:
        """nasdaqtraded.txt as of now, a test issue and the last line included."""
        if self.directory is not None:
            return self.directory
        today = self.now.astimezone(NEW_YORK).date()
        traded = [one for one in self.securities.values() if one.listed <= today <= one.gone and one.symbol[0] != "^"]
        rows = [
            (
                "Y",
                one.symbol,
                f"{one.symbol} Inc.",
                "N",
                " ",
                "NY"[one.kind == "ETF"],
                "100",
                "N",
                "",
                "",
                one.symbol,
                "N",
            )
            for one in traded
        ]
        rows.append(("Y", "ZXZZT", "NASDAQ TEST STOCK", "Q", "G", "N", "100", "Y", "N", "", "ZXZZT", "N"))
        made = self.now.astimezone(NEW_YORK).strftime("File Creation Time: %m%d%Y%H:%M")
        lines = [COLUMNS, *sorted(rows), (made, *[""] * (len(COLUMNS) - 1))]
        return "".join("|".join(line) + "\r\n" for line in lines)

    def find(self, yahoo: str) -> Security | None:
        return next((one for one in self.securities.values() if (one.yahoo or one.symbol) == yahoo), None)

    def chart(self, yahoo: str, start: int, end: int) -> tuple[int, dict]:
        """Status and answer of a chart request."""
        one = self.find(yahoo)
        now, today = int(self.now.timestamp()), self.now.astimezone(NEW_YORK).date()
        if one is None or today >= one.forgotten or not one.bars or min(one.bars) > today:
            return 404, {"chart": {"result": None, "error": NOT_FOUND}}
        days = [day for day in sorted(one.bars) if start <= stamp(day) < min(end, now)]
        if not days and max(one.bars) < today:
            return 400, {"chart": {"result": None, "error": NO_DATA}}
        bars = [one.tell(day, today) for day in days]
        stamps = [stamp(day) for day in days]
        if days and days[-1] == today and now < stamp(today, CLOSE) and bars[-1]:  # the open bar, at its last trade
            stamps[-1] = now
            bars[-1] = bars[-1]._replace(close=bars[-1].open, adj_close=bars[-1].open, volume=bars[-1].volume // 3)
        quote = {
            name: [bar and getattr(bar, name) for bar in bars] for name in ("open", "high", "low", "close", "volume")
        }
        result = {
            "meta": self.describe(one, today),
            "events": self.tell_events(one, start, min(end, now)),
            "timestamp": stamps,
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": [bar and bar.adj_close for bar in bars]}]},
        }
        if not days:
            result = {"meta": result["meta"], "indicators": {"quote": [{}], "adjclose": [{}]}}
        return 200, {"chart": {"result": [result], "error": None}}

    def describe(self, one: Security, today: date) -> dict:
        hours = {"timezone": "EST", "start": stamp(today), "end": stamp(today, CLOSE), "gmtoffset": -18000}
        return {
            "currency": "USD",
            "symbol": one.renamed or one.yahoo or one.symbol,
            "exchangeName": "NYQ",
            "instrumentType": one.kind,
            "firstTradeDate": stamp(one.began or min(one.bars)),
            "regularMarketTime": int(self.now.timestamp()),
            "gmtoffset": -18000,
            "timezone": "EST",
            "exchangeTimezoneName": "America/New_York",
            "priceHint": 2,
            "currentTradingPeriod": {"pre": dict(hours), "regular": dict(hours), "post": dict(hours)},
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
        }

    def tell_events(self, one: Security, start: int, end: int) -> dict:
        events: dict[str, dict] = {"dividends": {}, "splits": {}}
        for day, share in one.dividends.items():
            if start <= stamp(day) < end:
                before = [other for other in sorted(one.bars) if other < day][-1]
                amount = one.bars[before].close * share
                events["dividends"][str(stamp(day))] = {"amount": amount, "date": stamp(day)}
        for day, ratio in one.splits.items():
            if start <= stamp(day) < end:
                top, bottom = (ratio, 1) if ratio > 1 else (1, round(1 / ratio))
                split = {"date": stamp(day), "numerator": top, "denominator": bottom, "splitRatio": f"{top}:{bottom}"}
                events["splits"][str(stamp(day))] = split
        return {name: found for name, found in events.items() if found}


def make_handler(state: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: in two it would wait 40 ms for an acknowledgement

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(ConnectionError):  # the client was killed
                super().handle()

        def do_GET(self):
            url = urlsplit(self.path)
            host = self.headers.get("X-Stand-In-For", "www.nasdaqtrader.com")
            state.hosts[host] += 1
            if url.path == "/dynamic/SymDir/nasdaqtraded.txt":
                return self.answer(200, state.list_symbols(), "text/plain")
            if url.path == "/v1/test/getcrumb":
                return self.answer(200, "cRuMb", "text/plain")
            if not url.path.startswith(CHART):
                return self.answer(404, "<html></html>", "text/html")
            symbol = unquote(url.path.removeprefix(CHART))
            state.log.append(symbol)
            if state.refusals:
                state.refusals -= 1
                return self.answer(429, "Too Many Requests\r\n", "text/html")
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items() if name[:6] == "period"}
            status, answer = state.chart(symbol, query["period1"], query["period2"])
            return self.answer_badly(state.faults.get(symbol), status, json.dumps(answer))

        def answer_badly(self, faults, status, text):
            match faults.pop(0) if faults else "":
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                case "html":
                    self.answer(200, "<html>consent</html>", "text/html")
                case "cut":
                    self.answer(200, text[: len(text) // 2])
                case "null":
                    self.answer(200, "null")
                case "unwell":
                    self.answer(200, '{"chart": {"result": null, "error": {"code": "Internal", "description": "ill"}}}')
                case "refuse":
                    self.answer(429, "Too Many Requests\r\n", "text/html")
                case "503":
                    self.answer(503, "<html></html>", "text/html")
                case "hang" | "slow" as fault:
                    state.hanging.set()
                    state.released.wait(60)
                    if fault == "slow":
                        self.answer(status, text)
                    self.close_connection = True
                case _:
                    self.answer(status, text)

        def answer(self, status, text, kind="application/json"):
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@contextmanager
def serve(state: StandIn):
    """Serve until the end of the block; state.url is the address of both servers."""
    state.hanging, state.released = threading.Event(), threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(state))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def evening(day: date) -> datetime:
    """A quarter past eight in New York: four hours after the close."""
    return datetime.combine(day, time(20, 15), NEW_YORK)
