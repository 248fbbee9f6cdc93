"""python -m serving --run-dir DIR: serve the current model of a run folder until Ctrl-C."""

import argparse
import logging
import signal
import sys
import threading

from serving.app import create_app
from serving.errors import ServingError, TunnelError
from serving.server import Server


def main() -> int:
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.CRITICAL)  # the answers 503 tell it
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        serve(arguments, ended)
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve(arguments: argparse.Namespace, ended: threading.Event) -> None:
    app = create_app(arguments.run_dir)
    watch = app.extensions["model_watch"]
    if watch.bundle is None:
        watch.load()  # raises with the reason
    server = Server(app, arguments.host, arguments.port)
    print(f"serving {watch.bundle.champion} at {server.url}", flush=True)
    link = share(app, arguments.tunnel)
    try:
        ended.wait()
    finally:
        if link:
            link.close()
        watch.stop()
        server.close()


def share(app, mode: str):
    if mode == "none":
        return None
    from serving.tunnel import open_link  # pyngrok is needed for a tunnel only

    try:
        link = open_link(app)
    except TunnelError as error:
        print(error, flush=True)
        return None
    print(f"public link, with its key: {link.url}", flush=True)
    return link


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--run-dir", default="outputs/demo", help="run folder whose model is served (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on, 0 for any free one (%(default)s)")
    parser.add_argument("--tunnel", default="none", choices=("auto", "ngrok", "none"), help="public link (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
