#!/usr/bin/env python3
"""Publishes SECONDS of a drawn picture and a beep with headless Chromium: chromium.py VARIANT URL TOKEN SECONDS [FILE]

VARIANT is a codec, h264, vp8, vp9 or av1, or one of these, with VP8: simulcast has three layers, and stops the largest at half time; restart
restarts ICE after 3 s.

Serves chromium.html on a port of its own, so that the gateway is another origin for it, and opens it in a new profile.
The page publishes by itself and posts its summary back; that one line of JSON is printed. FILE is not used.
"""

import http.server
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse

FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --mute-audio
    --autoplay-policy=no-user-gesture-required --disable-background-timer-throttling
    --disable-renderer-backgrounding --enable-logging=stderr
""".split()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path.startswith("/?")
        self.answer(200 if found else 404, pathlib.Path(__file__).with_suffix(".html").read_bytes() if found else b"")

    def do_POST(self):
        self.server.summary = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200, b"")
        self.server.reported.set()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(codec, url, token, seconds, *_):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.reported, server.summary = threading.Event(), {"error": "the page never reported"}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    parameters = urllib.parse.urlencode({"codec": codec, "url": url, "token": token, "seconds": seconds})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/?{parameters}"],
            stdout=subprocess.DEVNULL,
        )
        try:
            server.reported.wait(float(seconds) + 60)
        finally:
            browser.terminate()
            browser.wait()
    print(json.dumps(server.summary))
    sys.exit("error" in server.summary)


main(*sys.argv[1:])
