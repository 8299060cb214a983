"""A service that answers with the address of its database, and needs no driver for it."""

import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

DATABASE = json.loads(Path(sys.argv[2]).read_text())["database"]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"database": DATABASE}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "keeper"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    Server(sys.argv[1].removeprefix("unix:"), Answer).serve_forever()
