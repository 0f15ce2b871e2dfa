#!/usr/bin/env python3
"""Publishes by what lies in examples/, as a person would use it: example.py browser|aiortc URL TOKEN SECONDS FILE

browser.html is opened in Chromium, beside a page that fills it in and draws the camera's picture. publish.py is run.
"""

import os
import sys

import chromium
import page
import whip


def main(example, url, token, seconds, file):
    if example == "browser":
        chromium.main("example.html", example, url, token, seconds)
    else:
        python = str(whip.CACHE / "aiortc/bin/python")
        script = str(page.ROOT / "examples/publish.py")
        os.execv(python, [python, script, url, "--token", token, "--seconds", seconds, file])


main(*sys.argv[1:])
