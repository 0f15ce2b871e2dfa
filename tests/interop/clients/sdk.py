#!/usr/bin/env python3
"""Publishes SECONDS of a drawn picture and a beep by a JavaScript SDK: sdk.py whip-whep|eyevinn URL TOKEN SECONDS [FILE]

As chromium.py, with the SDK in place of WHIP of our own.
"""

import sys

import chromium

chromium.main("sdk.html", *sys.argv[1:])
