"""A public link to a server on this machine, by ngrok."""

import logging
import os
import sys
from dataclasses import dataclass

from pyngrok import conf, ngrok
from pyngrok.exception import PyngrokError, PyngrokNgrokInstallError

from serving.errors import TunnelError
from serving.gate import Gate
from serving.server import Server

TOKEN = "NGROK_AUTHTOKEN"
HOW_TO_GET_ONE = (
    f"No public link: set {TOKEN} (free at dashboard.ngrok.com) in the environment or in Colab's secrets, the key icon."
)


@dataclass(frozen=True)
class Link:
    """An open tunnel. url holds the key: whoever has it may ask."""

    url: str
    key: str
    _server: Server
    _config: conf.PyngrokConfig

    def close(self) -> None:
        """Close the tunnel and end its agent."""
        ngrok.kill(self._config)
        self._server.close()


def find_token() -> str | None:
    """The token from the environment or from Colab's secrets."""
    if os.environ.get(TOKEN):
        return os.environ[TOKEN]
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata

    try:
        return userdata.get(TOKEN)
    except Exception:  # not granted, not there or not answered in time: each means that there is none
        return None


def open_link(app) -> Link:
    """Open a tunnel to an application behind a gate with a fresh key.

    Raises TunnelError with one line when there is no token, no agent, no network, or when ngrok refuses.
    """
    token = find_token()
    if not token:
        raise TunnelError(HOW_TO_GET_ONE)
    gate = Gate(app)
    server = Server(gate)
    config = conf.PyngrokConfig(ngrok_path=os.environ.get("NGROK_PATH") or None, start_new_session=True)
    config.auth_token = None  # pyngrok would put it on the agent's command line, for every user of the machine to read
    try:
        public_url = connect(server.port, token, config)
    except (PyngrokError, OSError) as error:
        server.close()
        raise TunnelError(explain(error)) from error
    return Link(f"{public_url}/?key={gate.key}", gate.key, server, config)


def connect(port: int, token: str, config: conf.PyngrokConfig) -> str:
    """Start the agent with the token in its environment, and have it forward to a port."""
    logging.getLogger("pyngrok").setLevel(logging.CRITICAL)  # what matters of it comes as an exception
    before = os.environ.get(TOKEN)
    os.environ[TOKEN] = token
    try:
        return ngrok.connect(str(port), "http", pyngrok_config=config).public_url
    finally:
        if before is None:
            del os.environ[TOKEN]


def explain(error: Exception) -> str:
    if isinstance(error, PyngrokNgrokInstallError):
        return (
            "No public link: ngrok's agent is not installed and cannot be downloaded. Serving goes on on this machine."
        )
    reason = getattr(error, "ngrok_error", None) or str(error)
    return f"No public link: {' '.join(str(reason).split())[:300]} Serving goes on on this machine."
