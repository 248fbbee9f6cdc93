"""The address of a PostgreSQL, as people write it.

The driver's errors quote what they do not understand of an address, which may be a piece of the password. So an
address is read here first, as libpq reads it, and what can be misunderstood never reaches the driver.
"""

import re
from urllib.parse import parse_qs, unquote

from pipeline.errors import ParameterError
from pipeline.urls import find_secrets

SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)  # Heroku's, libpq's and SQLAlchemy's spellings
FORM = re.compile(r"(?:([^:@/]*)(?::[^@/]*)?@)?([^@/?]*)(?:/[^@?]*)?(?:\?([^@]*))?")
HOST = re.compile(r"(\[[0-9a-f:.%]*\]|[^:\[\]]*)(?::\d*)?", re.IGNORECASE)
CODE = re.compile(r"%(?!(?!00)[0-9a-f]{2})", re.IGNORECASE)  # a % that begins none
QUOTED = re.compile(r'"([^"\n]*)"')
TOLD = ("user", "host", "hostaddr")  # parameters of an address that an error may show
ILL_FORMED = (
    "The database's URL is not of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE. In its parts @ is written as "
    "%40, / as %2F, ? as %3F, # as %23, % as %25 and a blank as %20."
)


def names_postgresql(url: str) -> bool:
    """Whether a URL is one of PostgreSQL, in any of its spellings."""
    return SCHEME.match(url) is not None


def read_address(url: str) -> tuple[str, frozenset[str]]:
    """The URL in libpq's spelling, and what of it may be told: its user and its hosts.

    Raises ParameterError, which quotes nothing, unless libpq would understand the URL as it is meant.
    """
    scheme = SCHEME.match(url)
    rest = url[scheme.end() :] if scheme else ""
    form = FORM.fullmatch(rest)
    if not scheme or not form or CODE.search(rest) or not rest.isprintable() or " " in rest:
        raise ParameterError(ILL_FORMED)
    user, places, parameters = (part or "" for part in form.groups())
    hosts = [HOST.fullmatch(place) for place in places.split(",")]
    if not all(hosts):
        raise ParameterError(ILL_FORMED)
    told = {unquote(user), *(unquote(host[1]).strip("[]") for host in hosts if host)}
    values = parse_qs(parameters)
    told |= {value for name in TOLD for value in values.get(name, [])}
    return f"postgresql://{rest}", frozenset(told - {""})


def tell_failure(message: str, told: frozenset[str]) -> str:
    """What a driver says of a connection that failed, in a line; of what it quotes, only what may be told."""

    def keep(quoted: re.Match[str]) -> str:
        known = any(quoted[1] == part or quoted[1].startswith(f"{part}/") for part in told)
        return quoted[0] if known else '"***"'

    return " ".join(QUOTED.sub(keep, message).split())


def hide_secrets(message: str, url: str) -> str:
    """A message of the server, in a line, without the secrets of the URL."""
    for secret in sorted(find_secrets(url), key=len, reverse=True):
        message = message.replace(secret, "***")
    return " ".join(message.split())
