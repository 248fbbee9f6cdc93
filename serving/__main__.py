"""Serve a run's model: python -m serving --run-dir outputs/demo [--host 127.0.0.1] [--port 8000] [--tunnel ngrok]"""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from serving.app import create_app
from serving.errors import ServingError
from serving.server import Server
from serving.tunnel import Tunnel, open_tunnel
from serving.watch import ModelWatch

LOOK = 1.0  # seconds between two looks at the tunnel
LINK_ENDED = "warning: the public link has ended: its agent is gone. Start again for a new one; local serving goes on."


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving", description="Serve the model of a run folder over HTTP.")
    parser.add_argument(
        "--run-dir", type=Path, required=True, metavar="DIR", help="the folder of a run, with model/ in it"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 for a free one")
    parser.add_argument(
        "--tunnel", choices=("auto", "ngrok", "none"), default="none", help="open a public link by ngrok"
    )
    return parser.parse_args()


def share(server: Server, mode: str) -> Tunnel | None:
    """Open the tunnel and print its link; if that fails say why and go on without."""
    try:
        tunnel = open_tunnel(server, mode)
    except ServingError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)
        return None
    if tunnel:
        print(f"public link, for whoever you send it to: {tunnel.link}", flush=True)
    return tunnel


def main() -> int:
    options = read_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    models = ModelWatch(options.run_dir)
    try:
        models.load()
        server = Server(create_app(models), options.host, options.port)
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    models.follow()
    server.start()
    print(f"serving {models.bundle.champion} on {server.url} (Ctrl-C to end)", flush=True)
    ended = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: ended.set())
    tunnel = share(server, options.tunnel)
    while not ended.wait(LOOK):
        if tunnel and not tunnel.is_open:
            print(LINK_ENDED, file=sys.stderr, flush=True)
            tunnel = None
    if tunnel:
        tunnel.close()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
