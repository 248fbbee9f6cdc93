"""A public link to the local server, through ngrok. The link holds a key; without it nobody gets an answer."""

import os
import secrets
import sys

from serving.errors import ServingError
from serving.server import Server

TOKEN_VARIABLE = "NGROK_AUTHTOKEN"


class Tunnel:
    """An open tunnel: `link` is what to send to somebody. Close it when it is no longer needed."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self.key = key

    @property
    def link(self) -> str:
        return f"{self.address}/?key={self.key}"

    @property
    def is_open(self) -> bool:
        """Whether the agent that holds the link still runs. (One without a network keeps the link and tries again.)"""
        from pyngrok import conf, process

        return process.is_process_running(conf.get_default().ngrok_path)

    def close(self) -> None:
        from pyngrok import ngrok

        ngrok.kill()


def find_token() -> str | None:
    """The ngrok token from the environment, else from Colab's secrets; None if there is none."""
    if os.environ.get(TOKEN_VARIABLE):
        return os.environ[TOKEN_VARIABLE]
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata

    try:
        return userdata.get(TOKEN_VARIABLE)
    except Exception:  # not granted, not set, or nobody answered the question: there is no token to be had
        return None


def open_tunnel(server: Server, mode: str = "auto") -> Tunnel | None:
    """Open a tunnel to the server's second port. mode: "auto" (only if a token is found), "ngrok" or "none".

    Returns None where no tunnel is wanted. Raises ServingError, in one line, for whatever goes wrong; the local
    server goes on.
    """
    token = find_token()
    if mode == "none" or (mode == "auto" and not token):
        return None
    if not token:
        raise ServingError(f"A tunnel needs a token: set {TOKEN_VARIABLE} (free at ngrok.com), or TUNNEL to none.")
    from pyngrok import conf, ngrok
    from pyngrok.exception import PyngrokError

    key = secrets.token_urlsafe(18)
    server.app.guard.key = key
    # The agent is asked on loopback, which no proxy leads to, whatever one leads out of this machine.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get(name)]))
    # The agent takes the token from its environment; as an argument it would stand in the list of processes.
    os.environ[TOKEN_VARIABLE] = token
    settings = conf.get_default()
    settings.auth_token = None
    if os.environ.get("NGROK_PATH"):
        settings.ngrok_path = os.environ["NGROK_PATH"]
    try:
        tunnel = ngrok.connect(f"http://127.0.0.1:{server.tunnel_port}", pyngrok_config=settings)
    except (PyngrokError, OSError) as error:
        text = " ".join(str(error).split()).replace(token, "***")
        raise ServingError(f"The tunnel did not open, local serving goes on: {text[:300]}") from None
    return Tunnel(tunnel.public_url, key)
