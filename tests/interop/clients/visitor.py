#!/usr/bin/env python3
"""Visits the gateway's own page with headless Chromium and does there what a person would: visitor.py SCENE URL TOKEN SECONDS

URL is the gateway's, with a slash at the end. Keys and clicks go through the DevTools protocol, over Chromium's pipe. Prints one line
of JSON: what the page said. With PAGE_SHOTS=FOLDER in the environment, pictures of the page are kept there.
"""

import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --mute-audio --remote-debugging-pipe
""".split()
# Chromium's pipe is its descriptors 3 and 4.
SHELL = ["sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', "sh", "chromium"]
# The page keeps its connections to itself.
SPY = """window.peers = []; window.restarts = 0; RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...a) { super(...a); peers.push(this); }
    createOffer(options) { restarts += Boolean(options?.iceRestart); return super.createOffer(options); } };"""
WAIT = 60


class Page:
    """A tab, as its visitor uses it."""

    def __init__(self, profile, *flags, with_screen=False):
        self.screen, environment = None, dict(os.environ)
        if with_screen:
            # One that nobody sees. It chooses its own number, and says it when it is ready.
            self.screen = subprocess.Popen(
                ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"], stdout=subprocess.PIPE
            )
            environment["DISPLAY"] = f":{int(self.screen.stdout.readline())}"
        self.browser = subprocess.Popen(
            [*SHELL, *FLAGS, *flags, f"--user-data-dir={profile}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.last, self.session, self.complaints, self.shots = 0, None, [], os.environ.get("PAGE_SHOTS")
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=SPY)
        self.look(1280, 1000)

    def call(self, method, session=None, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        session = session or self.session
        if session and not method.startswith("Target."):
            message["sessionId"] = session
        self.browser.stdin.write(json.dumps(message).encode() + b"\0")
        self.browser.stdin.flush()
        while True:
            answer = self.read()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def read(self):
        bytes = bytearray()
        while not bytes.endswith(b"\0"):
            byte = self.browser.stdout.read(1)
            if not byte:
                raise RuntimeError("Chromium ended")
            bytes += byte
        return json.loads(bytes[:-1])

    def note(self, event):
        """Exceptions of the page, and what its own policy refused. A failed request is the page's to tell."""
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            if params["entry"]["source"] != "network":
                self.complaints.append(params["entry"]["text"])

    def run(self, expression, session=None):
        result = self.call("Runtime.evaluate", session, expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState == 'complete' && document.querySelector('#encoders .line')")

    def until(self, expression, seconds=WAIT, session=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look = f"(async () => {{ const found = await ({expression}); return found instanceof Node || found; }})()"
            value = self.run(look, session)
            if value:
                return value
            time.sleep(0.05)
        raise RuntimeError(f"waited {seconds} s in vain for {expression}; the page says {self.said()}")

    def click(self, selector):
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def fill(self, selector, text):
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def look(self, width, height, dark=False):
        phone = width < 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def shot(self, name):
        """The whole page, light and dark, as on a desk and on a phone."""
        if not self.shots:
            return
        for width, height, dark, form in [
            (1280, 900, False, "light"), (1280, 900, True, "dark"), (360, 780, False, "phone"), (360, 780, True, "phone-dark"),
        ]:
            self.look(width, height, dark)
            picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            (pathlib.Path(self.shots) / f"{name}-{form}.png").write_bytes(base64.b64decode(picture["data"]))
        self.look(1280, 1000)

    def said(self):
        ids = ["state", "what", "todo", "insecure", "recording", "streams-said", "figures", "layers"]
        said = {id: self.run(f"(e => e.hidden ? '' : e.innerText.trim())(document.getElementById('{id}'))") for id in ids}
        return {**said, "focus": self.run("document.activeElement.id"), "complaints": self.complaints}

    def start(self, token, source="test", stream="live"):
        self.fill("#stream", stream)
        self.fill("#token", token)
        self.click(f"input[value={source}]")
        self.click("#start")

    def state(self, pattern, seconds=WAIT):
        return self.until(f"/{pattern}/.test(document.getElementById('state').innerText)", seconds)

    def play(self, selector):
        """Clicks a link to a recording, and watches it to its end in the tab that opens."""
        before = {target["targetId"] for target in self.call("Target.getTargets")["targetInfos"]}
        self.click(selector)
        tabs = lambda: [
            target["targetId"]
            for target in self.call("Target.getTargets")["targetInfos"]
            if target["type"] == "page" and target["targetId"] not in before and "/recordings/" in target["url"]
        ]
        end = time.monotonic() + WAIT
        while not tabs() and time.monotonic() < end:
            time.sleep(0.05)
        tab = tabs()[0]
        session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        self.until("document.querySelector('video')", session=session)
        self.run("(v => { v.muted = true; v.playbackRate = 4; v.play().catch(() => {}); })(document.querySelector('video'))", session)
        self.until("(v => v.ended || v.error)(document.querySelector('video'))", session=session)
        played = self.run(
            "(v => ({ time: v.currentTime, duration: v.duration, width: v.videoWidth, error: v.error?.message ?? '',"
            "pictures: v.getVideoPlaybackQuality().totalVideoFrames }))(document.querySelector('video'))",
            session,
        )
        self.call("Target.closeTarget", targetId=tab)
        return played

    def stop(self):
        self.click("#stop")
        self.state("^Not publishing")

    def end(self):
        for process in filter(None, [self.browser, self.screen]):
            process.terminate()
            process.wait()


FRAMES = """(async () => { for (const one of (await peers.at(-1).getStats()).values())
    if (one.type == 'outbound-rtp' && one.kind == 'video' && (!one.rid || one.rid == 'h')) return one.framesEncoded; })()"""


def publish(page, token, seconds):
    """The test picture."""
    return watch(page, "live", seconds, lambda: page.start(token))


def simulcast(page, token, seconds):
    page.click("#simulcast")
    return watch(page, "simulcast", seconds, lambda: page.start(token))


def watch(page, name, seconds, start, stop=True):
    """Publishes for so long, and says what was shown at the end."""
    start()
    page.state("^Live")
    began = time.monotonic()
    page.until("document.getElementById('recording').innerText", seconds)
    time.sleep(max(0, began + seconds - time.monotonic()))
    page.shot(name)
    said, frames = page.said(), page.run(FRAMES)
    took = time.monotonic() - began
    if not stop:
        return {**said, "seconds": took, "frames": frames}
    page.stop()
    return {**said, "seconds": took, "frames": frames, "after": page.said()}


# What asks for a link is refused at first, as by a server that is busy.
BUSY = """window.heads = 0; window.fetch = (real => (url, options) => options?.method == 'HEAD' && heads++ == 0
    ? Promise.resolve(new Response('{}', { status: 503 })) : real(url, options))(window.fetch); 0"""


def recording(page, token, seconds):
    """The link to the recording, while it grows and after."""
    page.run(BUSY)
    page.start(token)
    page.state("^Live")
    page.until("document.querySelector('#recording a') && document.querySelector('#streams a')")
    time.sleep(seconds)
    played = [page.play("#recording a"), page.play("#streams a")]
    page.stop()
    played.append(page.play("#recording a"))
    return {**page.said(), "played": played, "heads": page.run("heads")}


def hidden(page, token, seconds):
    """Another tab is looked at."""
    page.start(token)
    page.state("^Live")
    other = page.call("Target.createTarget", url="about:blank")["targetId"]
    page.until("document.visibilityState == 'hidden'")
    frames, began = page.run(FRAMES), time.monotonic()
    time.sleep(seconds)
    frames, took = page.run(FRAMES) - frames, time.monotonic() - began
    seen = page.run("document.visibilityState")
    said = page.said()
    page.call("Target.closeTarget", targetId=other)
    page.stop()
    return {**said, "seconds": took, "frames": frames, "visibility": seen}


def screen(page, token, seconds):
    """That of an X server, which Chromium chooses by its name instead of asking. Its button to end that cannot be pressed here: the track is
    told what it would be told."""
    page.run(
        "navigator.mediaDevices.getDisplayMedia = async (...a) =>"
        "window.shared = await MediaDevices.prototype.getDisplayMedia.apply(navigator.mediaDevices, a)"
    )
    said = watch(page, "screen", seconds, lambda: page.start(token, "screen"), stop=False)
    page.run("shared.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    page.state("^Not publishing")
    page.shot("screen-ended")
    return {**said, "after": page.said()}


def wrong_token(page, token, _):
    page.start("not-" + token)
    page.until("!document.getElementById('trouble').hidden")
    page.state("^Not publishing")
    page.shot("wrong-token")
    return page.said()


def killed(page, token, _):
    """Whoever started this kills the server once the stream is live. Two tries are waited for."""
    page.start(token)
    page.state("^Live")
    page.state("Trying again in 1 s")
    page.state("Trying again in 2 s")
    page.shot("server-gone")
    said = page.said()
    page.stop()
    return {**said, "after": page.said()}


def moved(page, token, _):
    """Whoever started this cuts the path of the media once the stream is live. The same session is waited for, on another path."""
    page.start(token)
    page.state("^Live")
    page.state("^No media gets through")
    interrupted = page.said()
    page.shot("path-changed")
    page.state("^Live")
    frames = page.run(FRAMES)
    page.until(f"{FRAMES}.then(now => now >= {frames + 60})")
    said, connections, restarts = page.said(), page.run("peers.length"), page.run("restarts")
    page.stop()
    return {**said, "interrupted": interrupted, "connections": connections, "restarts": restarts}


def taken(page, token, _):
    """Another publishes the stream once it is live."""
    page.start(token)
    page.state("^Live")
    page.state("^Not publishing")
    return page.said()


def blocked(page, token, _):
    """No datagram gets through from the start."""
    page.start(token)
    page.state("Trying again in 1 s")
    page.shot("blocked")
    said = page.said()
    page.stop()
    return said


def left(page, token, _):
    """The tab goes elsewhere without a stop."""
    page.start(token)
    page.state("^Live")
    said = page.said()
    url = page.run("document.baseURI")
    page.call("Page.navigate", url="about:blank")
    asked = urllib.request.Request(f"{url}whip-stats", headers={"Authorization": f"Bearer {token}"})
    # The browser has to live on for as long as its last request is on its way.
    end = time.monotonic() + 10
    while time.monotonic() < end and json.load(urllib.request.urlopen(asked)):
        time.sleep(0.05)
    return said


def no_camera(page, token, _):
    page.start(token, "camera")
    page.until("!document.getElementById('trouble').hidden")
    page.state("^Not publishing")
    return page.said()


def camera(page, token, seconds):
    """One that is made up by Chromium: refused, then allowed."""
    devices = ["camera", "microphone"]
    for name in devices:
        page.call("Browser.setPermission", permission={"name": name}, setting="denied")
    page.start(token, "camera")
    page.until("!document.getElementById('trouble').hidden")
    page.state("^Not publishing")
    page.shot("camera-refused")
    refused = page.said()
    for name in devices:
        page.call("Browser.setPermission", permission={"name": name}, setting="granted")
    return {**watch(page, "camera", seconds, lambda: page.click("#start")), "refused": refused}


def looks(page, *_):
    """Nothing is started: what the page is."""
    page.shot("idle")
    fields = "[...document.querySelectorAll('input, select, textarea, button, video, [role=region]')]"
    # What Chromium computes is what a screen reader says.
    nameless = []
    for i in range(page.run(f"{fields}.length")):
        found = page.call("Runtime.evaluate", expression=f"{fields}[{i}]")["result"]["objectId"]
        node = page.call("Accessibility.getPartialAXTree", objectId=found, fetchRelatives=False)["nodes"][0]
        if not node["ignored"] and not node.get("name", {}).get("value"):
            nameless.append(page.run(f"{fields}[{i}].outerHTML"))
    page.look(360, 780)
    scroll = page.run("document.documentElement.scrollWidth")
    focus = []
    page.run("document.activeElement.blur()")
    for _ in range(8):
        for kind in ["keyDown", "keyUp"]:
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        focus.append(page.run("document.activeElement.id || document.activeElement.name"))
    return {**page.said(), "nameless": nameless, "width": scroll, "order": focus}


def lines(page, token, _):
    """What to copy for other encoders, with the token hidden and shown."""
    texts = "[...document.querySelectorAll('#encoders pre')].map(line => line.innerText)"
    page.fill("#stream", "live/studio-1")
    page.fill("#token", token)
    hidden = page.run(texts)
    page.click("#show-token")
    shown = page.run(texts)
    page.click("#encoders button")
    page.until("document.getElementById('copied').innerText.startsWith('Copied')")
    kept = page.run("[localStorage.length + document.cookie.length, Object.values(sessionStorage)]")
    return {**page.said(), "hidden": hidden, "shown": shown, "kept": kept}


def insecure(page, token, seconds):
    """By plain http, under a name of which Chromium cannot know that it is this very machine."""
    page.shot("no-secure-context")
    return watch(page, "insecure-live", seconds, lambda: page.start(token))


ALL = [publish, simulcast, recording, hidden, screen, wrong_token, killed, moved, taken, blocked, left, no_camera, camera, looks, lines, insecure]
SCENES = {scene.__name__.replace("_", "-"): scene for scene in ALL}
FLAGS_OF = {
    "screen": ["--auto-select-desktop-capture-source=Entire screen"],
    "camera": ["--use-fake-device-for-media-stream"],
    "insecure": ["--host-resolver-rules=MAP ingest.test 127.0.0.1"],
}


def main(scene, url, token, seconds, *_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        page = Page(profile, *FLAGS_OF.get(scene, []), with_screen=scene == "screen")
        try:
            page.open(url.replace("127.0.0.1", "ingest.test") if scene == "insecure" else url)
            print(json.dumps(SCENES[scene](page, token, float(seconds))))
        finally:
            page.end()


main(*sys.argv[1:])
