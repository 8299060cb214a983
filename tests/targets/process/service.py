"""A stock threaded service of the standard library that knows nothing of its keeper."""

import base64
import hashlib
import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LISTEN, CONFIG, SECRETS = sys.argv[1:4]
with open(CONFIG) as file:
    VALUES = json.load(file)
with open(SECRETS) as file:
    KEYS = json.load(file)


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        if self.path == "/health":
            self.say(500 if VALUES.get("broken") else 200, b"ok")
        elif self.path == "/headers":
            self.say(200, json.dumps([list(pair) for pair in self.headers.items()]).encode())
        elif self.path == "/who":
            told = {"pid": os.getpid(), "values": VALUES, "keys": KEYS, "cwd": os.getcwd()}
            told["environ"] = dict(os.environ)
            self.say(200, json.dumps(told).encode())
        elif self.path.startswith("/slow"):
            time.sleep(float(self.path.partition("=")[2]))
            self.say(200, str(VALUES.get("greeting")).encode())
        elif self.path == "/events":
            self.events()
        elif self.path == "/socket":
            self.web_socket()
        elif self.path == "/close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"until close")
            self.close_connection = True
        elif self.path == "/empty":
            self.send_response(204)
            self.end_headers()
        elif self.path == "/same":
            self.send_response(304)
            self.send_header("Content-Length", "2")
            self.end_headers()
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif self.path == "/reset":
            self.close_connection = True
        elif self.path == "/error":
            self.say(503, b"by the service")
        elif self.path == "/exit":
            os._exit(3)
        else:
            self.say(200, str(VALUES.get("greeting")).encode())

    do_HEAD = do_GET

    def do_POST(self):
        if self.path == "/refuse":
            self.close_connection = True
            self.say(403, b"no")
            return
        body = self.body()
        self.say(200, f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode())

    do_PUT = do_POST

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(1000):
            event = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            time.sleep(0.05)

    def web_socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(4096):
            self.connection.sendall(str(VALUES.get("greeting")).encode() + b":" + data)

    def log_message(self, *words):
        pass


class Service(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_UNIX if LISTEN.startswith("unix:") else socket.AF_INET

    def server_bind(self):
        self.socket.bind(self.server_address)

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("keeper", 0)

    def handle_error(self, request, client_address):
        pass


if VALUES.get("dies"):
    sys.exit(7)
if LISTEN.startswith("unix:"):
    PLACE = LISTEN.removeprefix("unix:")
else:
    PLACE = (LISTEN.split(":")[0], int(LISTEN.split(":")[1]))
Service(PLACE, Answers).serve_forever()
