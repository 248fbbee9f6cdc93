"""A public link to the local server, through ngrok. The link holds a key; without it nobody gets an answer.

The tunnel is held by a process of its own, `python -m serving.tunnel --port PORT`, which opens it again when it drops
and ends with the server. `Keeper` is the server's side of it.
"""

import argparse
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from serving.errors import ServingError
from serving.guard import PublicDoor
from serving.processes import ROOT, make_environment

TOKEN_VARIABLE = "NGROK_AUTHTOKEN"
DOMAIN_VARIABLE = "NGROK_DOMAIN"  # a domain reserved for this account, for example market.ngrok.app
KEY_VARIABLE = "SHARE_KEY"  # the link's key; without it each server makes one of its own
KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
DOMAIN = re.compile(r"([A-Za-z0-9-]+\.)+[A-Za-z]{2,}(:\d+)?")
VISITOR_RATE = 120  # requests of one visitor in any minute
LOOK = 1.0  # seconds between two looks at the agent
LONGEST_PAUSE = 60.0  # seconds between two tries to open a tunnel that dropped
NEVER_OPENED = 3  # exit code of a process whose tunnel could not be opened at all


def find_token() -> str | None:
    """The ngrok token from the environment, else from Colab's secrets; None if there is none."""
    if os.environ.get(TOKEN_VARIABLE):
        return os.environ[TOKEN_VARIABLE]
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata

    try:
        token: str | None = userdata.get(TOKEN_VARIABLE)
    except Exception:  # not granted, not set, or nobody answered the question: there is no token to be had
        return None
    return token


def choose_key() -> str:
    """The key of the link: the one in the environment, so that a link sent yesterday works today, or a new one.

    Raises ServingError for a key that could be guessed, or that does not fit into a link.
    """
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        return secrets.token_urlsafe(18)
    if not KEY.fullmatch(key):
        raise ServingError(
            f"{KEY_VARIABLE} must be 16 to 128 letters, digits, - and _: for example the output of "
            'python -c "import secrets; print(secrets.token_urlsafe(18))".'
        )
    return key


class Keeper:
    """The process that holds the tunnel, seen from the server. It prints the link by itself."""

    def __init__(self, door: PublicDoor) -> None:
        self.door = door
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start the process, and start it again if it was killed."""
        if self.process is None or (self.process.poll() or 0) < 0:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving.tunnel", "--port", str(self.door.port)],
                cwd=ROOT,
                env=make_environment(**{KEY_VARIABLE: self.door.key}),
                stdin=subprocess.PIPE,  # it ends when this is closed, as it is when the server dies
            )

    def close(self) -> None:
        if self.process is None:
            return
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Tunnel:
    """An open tunnel. `address` is its public one, without the key."""

    address: str

    @property
    def is_open(self) -> bool:
        """Whether the agent lives and still has the tunnel. (One without a network keeps it and tries again.)"""
        from pyngrok import conf, ngrok, process
        from pyngrok.exception import PyngrokError

        if not process.is_process_running(conf.get_default().ngrok_path):
            return False
        try:
            return any(one.public_url == self.address for one in ngrok.get_tunnels())
        except (PyngrokError, OSError):  # it lives, but is too busy to say
            return True

    def close(self) -> None:
        from pyngrok import ngrok

        ngrok.kill()


def open_tunnel(port: int) -> Tunnel:
    """Open a tunnel to a port of loopback. Raises ServingError, in one line, for whatever goes wrong."""
    token = find_token()
    if not token:
        raise ServingError(f"A tunnel needs a token: set {TOKEN_VARIABLE} (free at ngrok.com), or TUNNEL to none.")
    domain = os.environ.get(DOMAIN_VARIABLE, "").removeprefix("https://").rstrip("/")
    if domain and not DOMAIN.fullmatch(domain):
        raise ServingError(f"{DOMAIN_VARIABLE} must be a domain like market.ngrok.app, not {domain[:80]!r}.")
    from pyngrok import conf, ngrok
    from pyngrok.exception import PyngrokError

    # The agent is asked on loopback, which no proxy leads to, whatever one leads out of this machine.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get(name)]))
    # The agent takes the token from its environment; as an argument it would stand in the list of processes.
    os.environ[TOKEN_VARIABLE] = token
    os.environ.pop(KEY_VARIABLE, None)
    settings = conf.get_default()
    settings.auth_token = None
    if os.environ.get("NGROK_PATH"):
        settings.ngrok_path = os.environ["NGROK_PATH"]
    options = {"url": f"https://{domain}"} if domain else {}
    try:
        tunnel = ngrok.connect(f"http://127.0.0.1:{port}", pyngrok_config=settings, **options)
    except (PyngrokError, OSError) as error:
        text = " ".join(str(error).split()).replace(token, "***")
        raise ServingError(f"The tunnel did not open, local serving goes on: {text[:300]}") from None
    return Tunnel(str(tunnel.public_url))


def keep_tunnel(port: int, key: str) -> int:
    """Hold a tunnel until standard input ends. Prints the link once, and again only if it has changed."""
    try:
        tunnel = open_tunnel(port)
    except ServingError as error:
        warn(str(error))
        return NEVER_OPENED
    print(f"public link, for whoever you send it to: {tunnel.address}/?key={key}", flush=True)
    pause = LOOK
    while not has_ended(pause):
        if tunnel.is_open:
            pause = LOOK
            continue
        tunnel.close()
        known = tunnel.address
        try:
            tunnel = open_tunnel(port)
        except ServingError as error:
            pause = min(pause * 2, LONGEST_PAUSE)
            warn(f"{error} Next try in {pause:.0f} s.")
            continue
        if tunnel.address == known:
            warn("the public link was down for a moment and works again.")
        else:
            warn("the public link has ended; here is another, set NGROK_DOMAIN for one that stays.")
            print(f"public link, for whoever you send it to: {tunnel.address}/?key={key}", flush=True)
    tunnel.close()
    return 0


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def has_ended(patience: float) -> bool:
    """Wait so many seconds, or until standard input ends. Returns whether it has."""
    if os.name != "posix":  # only sockets can be waited for there
        time.sleep(patience)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], patience)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1024)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.tunnel", description="Hold a public link to a local port.")
    parser.add_argument("--port", type=int, required=True, help="port of loopback that the link leads to")
    port = parser.parse_args().port
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, with whom this ends
    return keep_tunnel(port, choose_key())


if __name__ == "__main__":
    sys.exit(main())
