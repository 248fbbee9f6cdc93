"""Serve a run's model: python -m serving --run-dir outputs/demo [--host 127.0.0.1] [--port 8000] [--tunnel ngrok]"""

import argparse
import logging
import os
import sys

from serving import tunnel
from serving.app import create_app
from serving.errors import ServingError
from serving.guard import PublicDoor
from serving.server import Server, count_cores, listen, tell_address
from serving.shared import PLACES, Shared
from serving.watch import ModelWatch


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving", description="Serve the model of a run folder over HTTP.")
    parser.add_argument(
        "--run-dir", required=True, metavar="DIR", help="the folder of a run, with model/ in it, or its URL"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 for a free one")
    parser.add_argument(
        "--tunnel", choices=("auto", "ngrok", "none"), default="none", help="open a public link by ngrok"
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="the port is open to all: no /metrics; with SHARE_KEY set, only for its key",
    )
    parser.add_argument("--workers", type=count_workers, default=count_cores(), help="processes; default: a core each")
    parser.add_argument(
        "--until-eof", action="store_true", help="end with the standard input, and so with whoever holds it"
    )
    return parser.parse_args()


def count_workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= PLACES:
        raise argparse.ArgumentTypeError(f"there can be 1 to {PLACES} workers, not {text!r}")
    return int(text)


def main() -> int:
    options = read_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    models = ModelWatch(options.run_dir)
    keeper, doors = None, []
    try:
        model = models.load()
        sockets = [listen(options.host, options.port)]
        if options.public:
            key = tunnel.choose_key() if tunnel.KEY_VARIABLE in os.environ else ""
            doors.append(PublicDoor(sockets[0].getsockname()[1], key))
        if options.tunnel == "ngrok" or (options.tunnel == "auto" and tunnel.find_token()):
            sockets.append(listen("127.0.0.1", 0))
            doors.append(PublicDoor(sockets[1].getsockname()[1], tunnel.choose_key(), tunnel.VISITOR_RATE))
            keeper = tunnel.Keeper(doors[-1])
        shared = Shared()
        server = Server(create_app(models, shared, doors), models, shared, sockets, options.workers)
        server.start()
        print(f"serving {model.champion} on {tell_address(sockets[0])} (Ctrl-C to end)", flush=True)
        server.run(keeper.look if keeper else lambda: None, options.until_eof)
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if keeper:
            keeper.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
