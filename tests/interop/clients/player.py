#!/usr/bin/env python3
"""Plays a recording in headless Chromium, from its start to its end: player.py FILE TYPE

TYPE is what a page would ask whether the browser can play, such as `video/mp4; codecs="avc3.42e01f, opus"`. Prints one line of JSON: what came
of it.
"""

import pathlib
import sys

import chromium
import page

if __name__ == "__main__":
    file, kind = sys.argv[1:]
    chromium.visit(page.served("player.html", recording=pathlib.Path(file), type=kind), 90)
