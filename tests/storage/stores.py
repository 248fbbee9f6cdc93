"""Stores that the tests start: real HTTP servers which speak a store's protocol, on loopback."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.environments import install

HERE = Path(__file__).parent
BUCKET = "market"
SECRET = "kS8wJp2qTz5vXb9nRm3c"  # nothing may ever show it


@dataclass
class Store:
    """A store at work. variables: by which a client finds it. log: a line a request."""

    variables: dict[str, str]
    log: Path
    process: "subprocess.Popen[str]"


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
                yield Store(variables, log, server)
            finally:
                server.kill()
