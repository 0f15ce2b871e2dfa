"""What browsers need. Serves the pages of this folder, and what npm brought, on a port of its own: for them, the gateway is another origin.

A page is told by its query what to do, does it by itself, and posts one summary back. A recording is served beside them.
"""

import contextlib
import http.server
import json
import pathlib
import re
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDERS = {"": pathlib.Path(__file__).parent, "examples/": ROOT / "examples", "npm/": ROOT / ".cache/interop/npm"}

# For every headless Chromium: alone with its profile, without what it does for a person, and in a container.
CHROMIUM = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --mute-audio
""".split()


class Pages(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        name = urllib.parse.urlsplit(path).path.removeprefix("/")
        folder = next(prefix for prefix in reversed(FOLDERS) if name.startswith(prefix))
        return str(FOLDERS[folder] / name.removeprefix(folder))

    def do_GET(self):
        if self.path == "/recording":
            self.send_recording()
        else:
            super().do_GET()

    def send_recording(self):
        """Whole or in part (RFC 9110 §14), as any web server does."""
        content = self.server.recording.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, end = (int(asked[1]), int(asked[2] or len(content)) + 1) if asked else (0, len(content))
        part = content[first:end]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", {".mp4": "video/mp4", ".webm": "video/webm"}[self.server.recording.suffix])
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # A player that has read ahead enough hangs up.
            self.wfile.write(part)

    def do_POST(self):
        self.server.summary = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.reported.set()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(page, recording=None, **query):
    """The page's address, and a function that waits so many seconds for its summary."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.reported, server.summary = threading.Event(), {"error": "the page never reported"}
    server.recording = recording
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def summary(seconds):
        server.reported.wait(seconds)
        return server.summary

    yield f"http://127.0.0.1:{server.server_port}/{page}?{urllib.parse.urlencode(query)}", summary
    server.shutdown()
