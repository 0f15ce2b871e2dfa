"""The HTTP of a WHIP client, and the libraries of the folder into which they are installed."""

import pathlib
import sys
import urllib.parse
import urllib.request

CACHE = pathlib.Path(__file__).resolve().parents[3] / ".cache/interop"


def use_installed():
    """In place of this folder, which has a file named like a library."""
    sys.path[:1] = map(str, (CACHE / "aiortc/lib").glob("python3*/site-packages"))


class Session:
    def __init__(self, url, token, offer):
        self.token = token
        headers, self.answer = self.request("POST", url, 201, offer)
        self.url = urllib.parse.urljoin(url, headers["Location"])

    def delete(self):
        self.request("DELETE", self.url, 200)

    def request(self, method, url, expected, body=None):
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": "application/sdp"} if body else {})
        request = urllib.request.Request(url, data=body and body.encode(), headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            if response.status != expected:
                raise RuntimeError(f"{method}: {response.status}")
            return response.headers, response.read().decode()
