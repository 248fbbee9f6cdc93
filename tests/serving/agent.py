"""Stands in for ngrok's agent where there is no account: the same start-up lines and API, and it really forwards.

Refuses the tokens "refused" and "spent". Says in AGENT_SEEN what it was started with.
"""

import json
import os
import shutil
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

endpoints = {}
REFUSALS = {
    "refused": "authentication failed: the token is not valid ERR_NGROK_105",
    "spent": "the account has used up the requests of this month ERR_NGROK_727",
}


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, {"endpoints": list(endpoints.values())})

    def do_POST(self):
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        target = urlsplit(wanted["upstream"]["url"])
        port = int(urlsplit(wanted["url"]).port) if "url" in wanted else 0
        public = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=accept, args=(public, (target.hostname, target.port)), daemon=True).start()
        name = wanted["name"]
        endpoints[name] = {
            "name": name,
            "url": wanted.get("url", f"http://127.0.0.1:{public.getsockname()[1]}"),
            "uri": f"/api/endpoints/{name}",
        }
        self.answer(201, endpoints[name])

    def do_DELETE(self):
        endpoints.pop(self.path.rpartition("/")[2], None)
        self.answer(204, None)

    def answer(self, status, content):
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def accept(public, target):
    while True:
        visitor, _ = public.accept()
        server = socket.create_connection(target)
        for source, sink in ((visitor, server), (server, visitor)):
            threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source, sink):
    with source.makefile("rb", 0) as reader, sink.makefile("wb", 0) as writer:
        shutil.copyfileobj(reader, writer)
    sink.shutdown(socket.SHUT_WR)


def main():
    token = os.environ.get("NGROK_AUTHTOKEN")
    Path(os.environ["AGENT_SEEN"]).write_text(json.dumps({"arguments": sys.argv, "token": token, "pid": os.getpid()}))
    if token in REFUSALS:
        print(f'lvl=eror msg="failed to auth" err="{REFUSALS[token]}"', flush=True)
        sys.exit(1)
    api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    print(f'lvl=info msg="starting web service" addr=127.0.0.1:{api.server_port}', flush=True)
    print('lvl=info msg="tunnel session started"', flush=True)
    print('lvl=info msg="client session established"', flush=True)
    api.serve_forever()


main()
