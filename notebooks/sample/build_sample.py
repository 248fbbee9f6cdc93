"""Make the demo's sample: pip install bokeh-sampledata==2026.1 arch==8.0.0, then run this file.

Prices are copied digit for digit; what changes is the layout (one CSV a symbol, columns and dates
as in the Kaggle set).
"""

import csv
import gzip
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

SAMPLE = Path(__file__).parent
COLUMNS = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]

# Symbol: (security name, listing exchange, market category), as listed in March 2013.
STOCKS = {
    "AAPL": ("Apple Inc. - Common Stock", "Q", "Q"),
    "FB": ("Facebook, Inc. - Class A Common Stock", "Q", "Q"),
    "GOOG": ("Google Inc. - Class A Common Stock", "Q", "Q"),
    "IBM": ("International Business Machines Corporation Common Stock", "N", " "),
    "MSFT": ("Microsoft Corporation - Common Stock", "Q", "Q"),
}
INDICES = {  # symbol: (security name, file inside the package `arch`)
    "^GSPC": ("S&P 500 Index (an index, not a fund)", "data/sp500/sp500.csv.gz"),
    "^IXIC": ("NASDAQ Composite Index (an index, not a fund)", "data/nasdaq/nasdaq.csv.gz"),
}


def read_rows(package: str, file: str) -> list[dict[str, str]]:
    """Rows of a gzipped CSV inside an installed package, every value as it stands there."""
    folder = Path(find_spec(package).submodule_search_locations[0])
    with gzip.open(folder / file, "rt", newline="") as lines:
        return list(csv.DictReader(lines))


def write_rows(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def list_symbol(symbol: str, name: str, exchange: str, category: str) -> dict[str, str]:
    """A line of the metadata, in the columns of the Kaggle set."""
    return {
        "Nasdaq Traded": "Y",
        "Symbol": symbol,
        "Security Name": name,
        "Listing Exchange": exchange,
        "Market Category": category,
        "ETF": "N",
        "Round Lot Size": "100.0",
        "Test Issue": "N",
        "Financial Status": "",
        "CQS Symbol": symbol if exchange == "N" else "",
        "NASDAQ Symbol": symbol,
        "NextShares": "N",
    }


def main() -> None:
    prices = read_rows("bokeh_sampledata", "_data/stocks.csv.gz")
    for symbol in STOCKS:
        write_rows(
            SAMPLE / f"stocks/{symbol}.csv",
            COLUMNS,
            [row for row in prices if row["Ticker"] == symbol],
        )
    for symbol, (_, file) in INDICES.items():
        rows = read_rows("arch", file)
        for row in rows:
            row["Date"] = datetime.strptime(row["Date"], "%m/%d/%Y").date().isoformat()
        write_rows(SAMPLE / f"etfs/{symbol}.csv", COLUMNS, rows)
    listing = [list_symbol(symbol, *facts) for symbol, facts in STOCKS.items()]
    listing += [list_symbol(symbol, name, "", " ") for symbol, (name, _) in INDICES.items()]
    write_rows(SAMPLE / "symbols_valid_meta.csv", list(listing[0]), listing)


if __name__ == "__main__":
    main()
