#!/usr/bin/env python3
"""Visits the gateway's own page with headless Chromium and does there what a person would: visitor.py SCENE URL TOKEN SECONDS

URL is the gateway's, with a slash at the end. Keys and clicks go through the DevTools protocol. Prints one line of JSON: what
the page said. With PAGE_SHOTS=FOLDER in the environment, pictures of the page are kept there.
"""

import json
import signal
import sys
import tempfile
import time
import urllib.request

from devtools import WAIT, Tab

# The page keeps its connections to itself.
SPY = """window.peers = []; window.restarts = 0; RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...a) { super(...a); peers.push(this); }
    createOffer(options) { restarts += Boolean(options?.iceRestart); return super.createOffer(options); } };"""


class Page(Tab):
    """The gateway's page, as its visitor uses it."""

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState == 'complete' && document.querySelector('#encoders .line')")

    def said(self):
        ids = ["state", "what", "todo", "insecure", "recording", "streams-said", "figures", "layers"]
        shown = "(e => e.hidden ? '' : e.innerText.trim())(document.getElementById('{}'))"
        said = {id.replace("-", "_"): self.run(shown.format(id)) for id in ids}
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


FRAMES = """(async () => { for (const one of (await peers.at(-1).getStats()).values())
    if (one.type == 'outbound-rtp' && one.kind == 'video' && (!one.rid || one.rid == 'f')) return one.framesEncoded; })()"""


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
    page.click("#refresh")
    page.until("document.getElementById('streams-said').innerText")
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


def moved_host(page, token, seconds):
    """The same, where it is the browser's own address that goes. Its microphone is allowed, so that it knows its interfaces."""
    for name in ["camera", "microphone"]:
        page.call("Browser.setPermission", permission={"name": name}, setting="granted")
    return moved(page, token, seconds)


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


ALL = [publish, simulcast, recording, hidden, screen, wrong_token, killed, moved, moved_host, taken, blocked, left, no_camera, camera, looks, lines, insecure]
SCENES = {scene.__name__.replace("_", "-"): scene for scene in ALL}
FLAGS_OF = {
    "screen": ["--auto-select-desktop-capture-source=Entire screen"],
    "camera": ["--use-fake-device-for-media-stream"],
    # Of plain http, as there is no certificate.
    "moved-host": ["--unsafely-treat-insecure-origin-as-secure={url}"],
    "insecure": ["--host-resolver-rules=MAP ingest.test 127.0.0.1"],
}


def main(scene, url, token, seconds, *_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [flag.replace("{url}", url.rstrip("/")) for flag in FLAGS_OF.get(scene, [])]
        page = Page(profile, SPY, *flags, with_screen=scene == "screen")
        try:
            page.open(url.replace("127.0.0.1", "ingest.test") if scene == "insecure" else url)
            print(json.dumps(SCENES[scene](page, token, float(seconds))))
        finally:
            page.end()


main(*sys.argv[1:])
