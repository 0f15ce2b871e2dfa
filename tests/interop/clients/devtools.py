"""Chromium with one tab, driven by the DevTools protocol over its pipe."""

import base64
import json
import os
import pathlib
import subprocess
import time

import page

# Chromium's pipe is its descriptors 3 and 4.
SHELL = ["sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2', "sh", "chromium"]
WAIT = 60


class Tab:
    """It knows nothing of the page that is open. `script` runs before each page's own."""

    def __init__(self, profile, script, *flags, with_screen=False):
        self.screen, environment = None, dict(os.environ)
        if with_screen:
            # One that nobody sees. It chooses its own number, and says it when it is ready.
            self.screen = subprocess.Popen(
                ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"], stdout=subprocess.PIPE
            )
            environment["DISPLAY"] = f":{int(self.screen.stdout.readline())}"
        self.browser = subprocess.Popen(
            [*SHELL, *page.CHROMIUM, "--remote-debugging-pipe", *flags, f"--user-data-dir={profile}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.last, self.session, self.complaints, self.shots = 0, None, [], os.environ.get("PAGE_SHOTS")
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)
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

    def until(self, expression, seconds=WAIT, session=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            look = f"(async () => {{ const found = await ({expression}); return found instanceof Node || found; }})()"
            value = self.run(look, session)
            if value:
                return value
            time.sleep(0.05)
        raise RuntimeError(f"waited {seconds} s in vain for {expression}; the page says {self.run('document.body.innerText', session)}")

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

    def end(self):
        for process in filter(None, [self.browser, self.screen]):
            process.terminate()
            process.wait()
