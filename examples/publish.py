#!/usr/bin/env python3
"""Publishes a file or a camera by WHIP, with aiortc (`pip install aiortc`).

    publish.py URL --token TOKEN video.mp4
    publish.py URL --token TOKEN /dev/video0 --format v4l2

It goes on until the file ends, the time is over or Ctrl-C, and then ends its session.
"""

import argparse
import asyncio
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="such as https://ingest.example.com/whip/live")
    parser.add_argument("source", help="a file, or a device together with --format")
    parser.add_argument("--token", help="the bearer token")
    parser.add_argument("--format", help="how to read a device: v4l2 on Linux, avfoundation on macOS, dshow on Windows")
    parser.add_argument("--seconds", type=float, help="how long to publish")
    return parser.parse_args()


def request(method, url, token, offer=None):
    headers = {"Content-Type": "application/sdp"} if offer else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    message = urllib.request.Request(url, data=offer and offer.encode(), headers=headers, method=method)
    try:
        with urllib.request.urlopen(message, timeout=10) as response:
            return response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {url}: {error.code} {error.read().decode()}")
    except urllib.error.URLError as error:
        sys.exit(f"{method} {url}: {error.reason}")


async def publish(options):
    peer = RTCPeerConnection()
    over = asyncio.Event()
    lost = []

    @peer.on("connectionstatechange")
    def state_changed():
        print(f"connection: {peer.connectionState}", file=sys.stderr)
        if peer.connectionState in ("failed", "closed"):
            lost.append(peer.connectionState)
            over.set()

    player = MediaPlayer(options.source, format=options.format)
    for track in filter(None, (player.audio, player.video)):
        track.on("ended", over.set)
        peer.addTransceiver(track, direction="sendonly")
    # aiortc gathers its candidates before this returns, so the offer is complete and nothing has to trickle.
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    headers, answer = await asyncio.to_thread(request, "POST", options.url, options.token, offer)
    session = urllib.parse.urljoin(options.url, headers["Location"])
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, over.set)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(over.wait(), options.seconds)
    except TimeoutError:
        pass
    finally:
        await asyncio.to_thread(request, "DELETE", session, options.token)
    if lost:
        sys.exit(f"the connection {lost[0]}")
    await peer.close()


asyncio.run(publish(arguments()))
