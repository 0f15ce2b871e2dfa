#!/usr/bin/env python3
"""Publishes SECONDS of FILE with aiortc, encoded anew: aiortc.py h264|vp8 URL TOKEN SECONDS FILE

Prints one line of JSON: the frames encoded and the seconds between connecting and stopping.
"""

import asyncio
import json
import sys
import time

import whip

whip.use_installed()
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.contrib.media import MediaPlayer


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
    session = await asyncio.to_thread(whip.Session, url, token, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(session.answer, "answer"))
    try:
        await asyncio.wait_for(connected.wait(), 30)
        start = time.monotonic()
        await asyncio.sleep(float(seconds))
        summary = {"frames": counter["frames"], "seconds": time.monotonic() - start}
    finally:
        await asyncio.to_thread(session.delete)
        await peer.close()
    print(json.dumps(summary))


asyncio.run(publish(*sys.argv[1:]))
