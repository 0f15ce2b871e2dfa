#!/usr/bin/env python3
"""Publishes SECONDS of a drawn picture and a beep with headless Chromium: chromium.py VARIANT URL TOKEN SECONDS [FILE]

VARIANT is a codec, h264, vp8, vp9 or av1, or one of these: simulcast, with VP8, simulcast-h264, simulcast-vp9 and simulcast-av1
have three layers, and stop the largest at half time; restart, with VP8, restarts ICE after 3 s; restart-slow does, and is answered late; datachannel, with VP8, opens a channel, and waits until its messages have come back.

Opens chromium.html in a new profile, and prints the one line of JSON that the page posts back. FILE is not used.
"""

import json
import signal
import subprocess
import sys
import tempfile

import page

# A page that nobody clicks plays by itself, and at its full pace.
FLAGS = """
    --autoplay-policy=no-user-gesture-required --disable-background-timer-throttling
    --disable-renderer-backgrounding --enable-logging=stderr
""".split()


def visit(served, seconds):
    """The summary of a page that is served, for which it has so many seconds."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with served as (address, summary), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            ["chromium", *page.CHROMIUM, *FLAGS, f"--user-data-dir={profile}", address],
            stdout=subprocess.DEVNULL,
        )
        try:
            summary = summary(seconds)
        finally:
            browser.terminate()
            browser.wait()
    print(json.dumps(summary))
    sys.exit("error" in summary)


def main(name, codec, url, token, seconds, *_):
    visit(page.served(name, codec=codec, url=url, token=token, seconds=seconds), float(seconds) + 60)


if __name__ == "__main__":
    main("chromium.html", *sys.argv[1:])
