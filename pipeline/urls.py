"""What a URL may tell: its user and its host. Its password hides in more places than one, and so do pieces of it where
somebody wrote one of its characters as it is.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

SHORTEST = 8  # characters: to take shorter texts out of others would spoil dates and numbers, and show where they were
WITH_URL = re.compile(r"(URL|URI|DSN|PROXY|REMOTE)$", re.IGNORECASE)  # variables of the environment
CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://([^:@]*):(.*)@", re.IGNORECASE | re.DOTALL)
PARAMETER = re.compile(r"[?&;][^?=&;]*(?:password|passwd|token|secret|key)=([^&;]*)", re.IGNORECASE)
SPECIAL = re.compile(r"[:@/?#\[\] ]")


def take_credentials(url: str) -> tuple[str, str, str]:
    """The URL without its user and password, and both of them, decoded; empty texts where it has none.

    A password may hold an @ as it is: the last one stands before the host. Raises ValueError if it is no URL.
    """
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)


def find_secrets(url: str) -> set[str]:
    """What must not be told of a URL: its password, which ends before the last @, pieces of that, and what parameters
    with such names hold; as they stand there and decoded.
    """
    texts = set(PARAMETER.findall(url))
    if found := CREDENTIALS.match(url):
        texts |= {piece for form in (found[2], unquote(found[2])) for piece in (form, *SPECIAL.split(form))}
    return {form for text in texts for form in (text, unquote(text)) if len(form) >= SHORTEST}


def find_all_secrets(environment: Mapping[str, str]) -> set[str]:
    """The secrets of the URLs in the environment: of databases, proxies and servers."""
    urls = [value for name, value in environment.items() if WITH_URL.search(name)]
    return {secret for url in urls for secret in find_secrets(url)}
