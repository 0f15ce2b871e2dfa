#!/usr/bin/env python3
"""Publishes SECONDS of a drawn picture and a beep with headless Chromium: chromium.py VARIANT URL TOKEN SECONDS [FILE]

VARIANT is a codec, h264, vp8, vp9 or av1, or one of these, with VP8: simulcast has three layers, and stops the largest at half time; restart
restarts ICE after 3 s.

Opens chromium.html in a new profile, and prints the one line of JSON that the page posts back. FILE is not used.
"""

import json
import signal
import subprocess
import sys
import tempfile

import page

FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --mute-audio
    --autoplay-policy=no-user-gesture-required --disable-background-timer-throttling
    --disable-renderer-backgrounding --enable-logging=stderr
""".split()


def main(name, codec, url, token, seconds, *_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        page.served(name, codec=codec, url=url, token=token, seconds=seconds) as (address, summary),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        browser = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={profile}", address],
            stdout=subprocess.DEVNULL,
        )
        try:
            summary = summary(float(seconds) + 60)
        finally:
            browser.terminate()
            browser.wait()
    print(json.dumps(summary))
    sys.exit("error" in summary)


if __name__ == "__main__":
    main("chromium.html", *sys.argv[1:])
