#!/usr/bin/env python3
"""Publishes SECONDS of a drawn picture and a beep with headless Firefox: firefox.py vp8 URL TOKEN SECONDS [FILE]

Opens chromium.html in a new profile, by Marionette (the protocol below WebDriver), and prints the one line of JSON that
the page posts back. FILE is not used. With `page` in place of vp8, the gateway's own page publishes its test picture.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import page

PREFERENCES = {
    "marionette.port": 0,  # a free one, which Firefox writes to a file of the profile
    "media.autoplay.default": 0,
    "media.block-autoplay-until-in-foreground": False,
    "media.peerconnection.ice.loopback": True,
    # Whoever may not use the camera publishes from the address of the default route alone, and so not to loopback.
    "permissions.default.camera": 1,
    "permissions.default.microphone": 1,
    "network.proxy.type": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}
START = 30


class Marionette:
    """Messages are `LENGTH:[type, id, name, parameters]`, and `LENGTH:[type, id, error, result]` back."""

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=START).makefile("rwb")
        self.read()

    def read(self):
        digits = b""
        while (character := self.stream.read(1)) not in (b":", b""):
            digits += character
        return json.loads(self.stream.read(int(digits)))

    def call(self, name, **parameters):
        message = json.dumps([0, 1, name, parameters]).encode()
        self.stream.write(b"%d:%s" % (len(message), message))
        self.stream.flush()
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(f"{name}: {error['message']}")
        return result


def marionette(profile, browser):
    port = pathlib.Path(profile, "MarionetteActivePort")
    deadline = time.monotonic() + START
    while not (port.exists() and port.read_text()):
        if browser.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Firefox did not start")
        time.sleep(0.05)
    return Marionette(int(port.read_text()))


def sound_card(folder):
    """Firefox plays nothing, and a page of it makes no sound, where there is no sound card: this is one without a speaker."""
    address = f"{folder}/sound"
    modules = ["module-null-sink", f"module-native-protocol-unix auth-anonymous=1 socket={address}"]
    command = ["pulseaudio", "-n", "--use-pid-file=no", "--exit-idle-time=-1", "--daemonize=no", "--disable-shm"]
    environment = os.environ | {"HOME": folder, "XDG_RUNTIME_DIR": folder, "DBUS_SESSION_BUS_ADDRESS": "none:"}
    return subprocess.Popen([*command, *(f"--load={module}" for module in modules)], env=environment), address


def visit(driver, url, token, seconds):
    """The gateway's page, used by its fields and buttons."""
    origin, stream = url.split("/whip/")
    driver.call("WebDriver:Navigate", url=f"{origin}/")

    def run(script, *arguments):
        return driver.call("WebDriver:ExecuteScript", script=script, args=arguments)["value"]

    def until(script, limit=START):
        end = time.monotonic() + limit
        while not (value := run(script)):
            if time.monotonic() > end:
                return {"error": f"waited in vain for {script}: {run('return document.body.innerText')}"}
            time.sleep(0.05)
        return value

    def element(selector):
        return next(iter(driver.call("WebDriver:FindElement", using="css selector", value=selector)["value"].values()))

    def click(selector):
        driver.call("WebDriver:ElementClick", id=element(selector))

    for selector, text in [("#stream", stream), ("#token", token)]:
        driver.call("WebDriver:ElementClear", id=element(selector))
        driver.call("WebDriver:ElementSendKeys", id=element(selector), text=text)
    click("input[value=test]")
    click("#start")
    live = until("return /^Live/.test(document.getElementById('state').innerText)")
    began = time.monotonic()
    link = until("return document.querySelector('#recording a')?.href")
    for error in (live, link):
        if isinstance(error, dict):
            return error
    time.sleep(max(0, began + seconds - time.monotonic()))
    took = time.monotonic() - began
    click("#stop")
    stopped = until("return document.getElementById('state').innerText == 'Not publishing'")
    if isinstance(stopped, dict):
        return stopped
    with urllib.request.urlopen(link) as recording:
        return {"seconds": took, "recorded": len(recording.read())}


def main(codec, url, token, seconds, *_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        page.served("chromium.html", codec=codec, url=url, token=token, seconds=seconds) as (address, summary),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
        pathlib.Path(profile, "user.js").write_text("".join(lines))
        sound, address_of_sound = sound_card(profile)
        browser = subprocess.Popen(
            ["firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", profile],
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PULSE_SERVER": f"unix:{address_of_sound}"},
        )
        try:
            driver = marionette(profile, browser)
            driver.call("WebDriver:NewSession")
            if codec == "page":
                summary = visit(driver, url, token, float(seconds))
            else:
                driver.call("WebDriver:Navigate", url=address)
                summary = summary(float(seconds) + 60)
        finally:
            for process in (browser, sound):
                process.terminate()
                process.wait()
    print(json.dumps(summary))
    sys.exit("error" in summary)


main(*sys.argv[1:])
