"""Stores that the tests start: real HTTP servers which speak a store's protocol, on loopback."""

import base64
import hmac
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.request import Request, urlopen

from tests.environments import install, install_npm

HERE = Path(__file__).parent
BUCKET = "market"
SECRET = "kS8wJp2qTz5vXb9nRm3c"  # nothing may ever show it
AZURITE = "azurite@3.35.0"
# Every Azurite has this account and this key; they are in its manual.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Store:
    """A store at work. root: the URL of its bucket. variables: by which a client finds it. log: a line a request."""

    root: str
    variables: dict[str, str]
    log: Path = Path()


@contextmanager
def start_s3(host: str = "127.0.0.1", port: int = 0) -> Iterator[Store]:
    """moto's S3, with one bucket and nothing in it."""
    python = install("s3", HERE / "requirements.txt") / "python"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests"
        command = [python, HERE / "s3_server.py", BUCKET, host, port, log]
        with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                found = server.stdout.readline().strip()
                variables = {
                    "AWS_ENDPOINT_URL": f"http://{host}:{found}",
                    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
                    "AWS_SECRET_ACCESS_KEY": SECRET,
                    "AWS_REGION": "us-east-1",
                }
                yield Store(f"s3://{BUCKET}", variables, log)
            finally:
                server.kill()


@contextmanager
def start_azure() -> Iterator[Store]:
    """Azurite, Microsoft's own stand-in for Azure's storage, with one container and nothing in it."""
    program = install_npm(AZURITE) / "azurite-blob"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--blobPort", port, "--inMemoryPersistence", "--skipApiVersionCheck"]
        with subprocess.Popen([*map(str, command)], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                assert any("successfully listens" in line for line in server.stdout)
                address = f"http://127.0.0.1:{port}/{ACCOUNT}"
                create_container(address)
                variables = {
                    "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                    "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
                    "AZURE_STORAGE_ENDPOINT": address,
                }
                yield Store(f"az://{BUCKET}", variables)
            finally:
                server.kill()


def create_container(address: str) -> None:
    """The one request that the client has no call for, signed with the account's key."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = "PUT" + 12 * "\n" + signed + f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    digest = hmac.digest(base64.b64decode(ACCOUNT_KEY), text.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    url = f"{address}/{BUCKET}?restype=container"
    urlopen(Request(url, method="PUT", headers=headers | {"Content-Length": "0"})).close()
