"""Serves the pages of this folder, and what npm brought, on a port of its own: for them, the gateway is another origin.

A page is told by its query what to publish, does it by itself, and posts one summary back.
"""

import contextlib
import http.server
import json
import pathlib
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDERS = {"": pathlib.Path(__file__).parent, "examples/": ROOT / "examples", "npm/": ROOT / ".cache/interop/npm"}


class Pages(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        name = urllib.parse.urlsplit(path).path.removeprefix("/")
        folder = next(prefix for prefix in reversed(FOLDERS) if name.startswith(prefix))
        return str(FOLDERS[folder] / name.removeprefix(folder))

    def do_POST(self):
        self.server.summary = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.reported.set()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(page, **query):
    """The page's address, and a function that waits so many seconds for its summary."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.reported, server.summary = threading.Event(), {"error": "the page never reported"}
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def summary(seconds):
        server.reported.wait(seconds)
        return server.summary

    yield f"http://127.0.0.1:{server.server_port}/{page}?{urllib.parse.urlencode(query)}", summary
    server.shutdown()
