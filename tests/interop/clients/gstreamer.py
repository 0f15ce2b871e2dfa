#!/usr/bin/env python3
"""Publishes SECONDS of FILE (H.264 and Opus in Matroska), as it is, with GStreamer's webrtcbin:
gstreamer.py RELEASE URL TOKEN SECONDS FILE (RELEASE is for gstreamer.sh, which says with whose)

Prints one line of JSON: the seconds between connecting and stopping.
"""

import json
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC

import whip

PIPELINE = """
    webrtcbin name=peer bundle-policy=max-bundle
    filesrc location={file} ! matroskademux name=file
    file.video_0 ! h264parse config-interval=-1 ! identity sync=true ! rtph264pay pt=96 aggregate-mode=zero-latency
        ! queue ! application/x-rtp,media=video,encoding-name=H264,payload=96 ! peer.
    file.audio_0 ! opusparse ! identity sync=true ! rtpopuspay pt=97
        ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
"""
LIMIT = 30


def promised(peer, action, *arguments):
    """What was promised. It belongs to the promise, so the description is taken out while there is one."""
    promise = Gst.Promise.new()
    peer.emit(action, *arguments, promise)
    if promise.wait() != Gst.PromiseResult.REPLIED:
        raise RuntimeError(f"{action} failed")
    reply = promise.get_reply()
    return reply.get_value("offer").copy() if reply and reply.has_field("offer") else None


def wait_for(what, ready):
    deadline = time.monotonic() + LIMIT
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain until {what}")
        time.sleep(0.01)


def description(kind, text):
    _, message = GstSdp.SDPMessage.new_from_text(text)
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


def main(_, url, token, seconds, file):
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE.format(file=file))
    peer = pipeline.get_by_name("peer")
    needed = threading.Event()
    peer.connect("on-negotiation-needed", lambda _: needed.set())
    pipeline.set_state(Gst.State.PLAYING)
    if not needed.wait(LIMIT):
        raise RuntimeError("webrtcbin has nothing to offer")
    for index in range(2):
        peer.emit("get-transceiver", index).set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
    offer = promised(peer, "create-offer", None)
    promised(peer, "set-local-description", offer)
    complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
    wait_for("all candidates are known", lambda: peer.get_property("ice-gathering-state") == complete)
    session = whip.Session(url, token, peer.get_property("local-description").sdp.as_text())
    answer = description(GstWebRTC.WebRTCSDPType.ANSWER, session.answer)
    promised(peer, "set-remote-description", answer)
    connected = GstWebRTC.WebRTCPeerConnectionState.CONNECTED
    wait_for("connected", lambda: peer.get_property("connection-state") == connected)
    start = time.monotonic()
    time.sleep(float(seconds))
    lost = peer.get_property("connection-state") != connected
    session.delete()
    print(json.dumps({"seconds": time.monotonic() - start}))
    pipeline.set_state(Gst.State.NULL)
    sys.exit(lost)


main(*sys.argv[1:])
