#!/usr/bin/env python3
"""Publishes SECONDS of FILE with aiortc, encoded anew: aiortc.py h264|vp8 URL TOKEN SECONDS FILE

Prints one line of JSON: the frames encoded and the seconds between connecting and stopping.
"""

import asyncio
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

# The installed aiortc, in place of this folder with its file of the same name.
INSTALLED = pathlib.Path(__file__).resolve().parents[3] / ".cache/interop/aiortc/lib"
sys.path[:1] = map(str, INSTALLED.glob("python3*/site-packages"))

from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.contrib.media import MediaPlayer


def http(method, url, token, body=None):
    headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": "application/sdp"} if body else {})
    request = urllib.request.Request(url, data=body and body.encode(), headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.headers, response.read().decode()


def count_encoded(encoder):
    """aiortc counts packets, not frames: count where a frame becomes packets."""
    encode, counter = encoder.encode, {"frames": 0}

    def counting(self, frame, force_keyframe=False):
        counter["frames"] += 1
        return encode(self, frame, force_keyframe)

    encoder.encode = counting
    return counter


async def publish(codec, url, token, seconds, file):
    peer = RTCPeerConnection()
    connected = asyncio.Event()

    @peer.on("connectionstatechange")
    def state_changed():
        if peer.connectionState == "connected":
            connected.set()

    counter = count_encoded(h264.H264Encoder if codec == "h264" else vpx.Vp8Encoder)
    player = MediaPlayer(file)
    peer.addTransceiver(player.audio, direction="sendonly")
    video = peer.addTransceiver(player.video, direction="sendonly")
    offered = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([c for c in offered if c.mimeType.lower() in (f"video/{codec}", "video/rtx")])
    await peer.setLocalDescription(await peer.createOffer())
    _, headers, answer = await asyncio.to_thread(http, "POST", url, token, peer.localDescription.sdp)
    session = urllib.parse.urljoin(url, headers["Location"])
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    try:
        await asyncio.wait_for(connected.wait(), 30)
        start = time.monotonic()
        await asyncio.sleep(float(seconds))
        summary = {"frames": counter["frames"], "seconds": time.monotonic() - start}
    finally:
        status, _, _ = await asyncio.to_thread(http, "DELETE", session, token)
        await peer.close()
    print(json.dumps(summary | {"delete": status}))


asyncio.run(publish(*sys.argv[1:]))
