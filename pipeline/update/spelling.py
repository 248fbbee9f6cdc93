"""How NASDAQ spells a symbol, and how Yahoo does.

Files are named as NASDAQ's directory spells symbols in its column `NASDAQ Symbol`: a root and a suffix. The suffixes
are those of nasdaqtrader.com/Trader.aspx?id=CQSSymbolConvention, column "NASDAQ Integrated Platform Suffix". Yahoo
publishes no such list; its spellings here are those of its quote pages (BRK-B, BAC-PB, BAC-WTA). A wrong one costs a
symbol that Yahoo does not know, never a mixed file.
"""

import re

# What a symbol's suffix means, as NASDAQ writes it, as Yahoo writes it. X stands for a class or series: A, B, C...
SUFFIXES = (
    ("common stock, or all other symbols of NASDAQ's own listings", "", ""),
    ("class X", ".X", "-X"),
    ("preferred", "-", "-P"),
    ("preferred, series X", "-X", "-PX"),
    ("warrants", "+", "-WT"),
    ("warrants, class X", "+X", "-WTX"),
    ("units", "=", "-UN"),
    ("rights", "^", "-RI"),
    ("when issued", "#", "-WI"),
)
TO_YAHOO = {nasdaq: yahoo for _, nasdaq, yahoo in SUFFIXES}
NASDAQ_SYMBOL = re.compile(r"(?P<root>[A-Z0-9]+)(?P<sign>[^A-Z0-9]?)(?P<series>[A-Z]?)")
YAHOO_SYMBOL = re.compile(r"\^?[A-Z0-9]+([.=-][A-Z0-9]+)*")


def spell_for_yahoo(symbol: str) -> str | None:
    """Yahoo's spelling of a symbol of NASDAQ's directory.

    None for what Yahoo has no prices of: shares that are called, convertible or when distributed, and test symbols.
    """
    if symbol.startswith("^") and YAHOO_SYMBOL.fullmatch(symbol):  # an index: no NASDAQ symbol begins so
        return symbol
    match = NASDAQ_SYMBOL.fullmatch(symbol)
    if match is None:
        return None
    root, sign, series = match.groups()
    yahoo = TO_YAHOO.get(sign + ("X" if series else ""))
    return None if yahoo is None else root + yahoo.replace("X", series)
