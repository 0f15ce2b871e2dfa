#!/usr/bin/env python3
"""Publishes SECONDS of FILE (H.264 and Opus in Matroska), as it is, with libdatachannel on Mbed TLS, as OBS on Windows and
macOS has it: libdatachannel.py actpass|passive|active URL TOKEN SECONDS FILE

Prints one line of JSON: the seconds between connecting and stopping. The offer is one of OBS: no candidates in it, one
codec, and the DTLS role of the argument (OBS offers actpass).
"""

import ctypes
import json
import sys
import time

import whip

whip.use_installed()
import av

LIMIT = 30
CONNECTED = 2
START_SEQUENCE = 3
# A packet of 1200 bytes of H.264 at most, and 4000 packets kept to be sent again, as in OBS.
FRAGMENT, KEPT = 1200, 4000
AUDIO = """audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=sendonly
a=ssrc:1 cname:whip
a=msid:whip audio
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1
"""
VIDEO = """video 9 UDP/TLS/RTP/SAVPF 96
a=mid:1
a=sendonly
a=ssrc:2 cname:whip
a=msid:whip video
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
"""


class Configuration(ctypes.Structure):
    """rtcConfiguration, all zero but one."""

    _fields_ = [
        ("ice_servers", ctypes.c_void_p),
        ("ice_servers_count", ctypes.c_int),
        ("proxy_server", ctypes.c_char_p),
        ("bind_address", ctypes.c_char_p),
        ("certificate_type", ctypes.c_int),
        ("ice_transport_policy", ctypes.c_int),
        ("enable_ice_tcp", ctypes.c_bool),
        ("enable_ice_udp_mux", ctypes.c_bool),
        ("disable_auto_negotiation", ctypes.c_bool),
        ("force_media_transport", ctypes.c_bool),
        ("port_range_begin", ctypes.c_uint16),
        ("port_range_end", ctypes.c_uint16),
        ("mtu", ctypes.c_int),
        ("max_message_size", ctypes.c_int),
    ]


class Packetizer(ctypes.Structure):
    """rtcPacketizerInit."""

    _fields_ = [
        ("ssrc", ctypes.c_uint32),
        ("cname", ctypes.c_char_p),
        ("payload_type", ctypes.c_uint8),
        ("clock_rate", ctypes.c_uint32),
        ("sequence_number", ctypes.c_uint16),
        ("timestamp", ctypes.c_uint32),
        ("max_fragment_size", ctypes.c_uint16),
        ("nal_separator", ctypes.c_int),
        ("obu_packetization", ctypes.c_int),
        ("playout_delay_id", ctypes.c_uint8),
        ("playout_delay_min", ctypes.c_uint16),
        ("playout_delay_max", ctypes.c_uint16),
    ]


class Library:
    """Calls by name; a negative number is a failure."""

    def __init__(self):
        self.library = ctypes.CDLL(str(whip.CACHE / "libdatachannel/libdatachannel.so"))
        # What it logs by itself goes to stdout, which is for the summary.
        self.logger = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p)(
            lambda _, line: print(line.decode(errors="replace"), file=sys.stderr)
        )
        self.library.rtcInitLogger(4, self.logger)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends its threads, which would call into a Python that is gone."""
        self.library.rtcCleanup()

    def __getattr__(self, name):
        def call(*arguments):
            result = getattr(self.library, f"rtc{name}")(*arguments)
            if result < 0:
                raise RuntimeError(f"rtc{name}: {result}")
            return result

        return call


def add_track(rtc, peer, section, payload_type, clock_rate, ssrc):
    track = rtc.AddTrack(peer, section.encode())
    packetizer = Packetizer(
        ssrc=ssrc, cname=b"whip", payload_type=payload_type, clock_rate=clock_rate, sequence_number=65500,
        timestamp=0, max_fragment_size=FRAGMENT, nal_separator=START_SEQUENCE,
    )
    (rtc.SetOpusPacketizer if ssrc == 1 else rtc.SetH264Packetizer)(track, ctypes.byref(packetizer))
    rtc.ChainRtcpSrReporter(track)
    rtc.ChainRtcpNackResponder(track, KEPT)
    return track


def publish(rtc, role, url, token, seconds, file):
    peer = rtc.CreatePeerConnection(ctypes.byref(Configuration(disable_auto_negotiation=True)))
    state = {}
    changed = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)(
        lambda _, new, __: state.update(now=new, at=time.monotonic())
    )
    rtc.SetStateChangeCallback(peer, changed)
    tracks = {
        "audio": (add_track(rtc, peer, AUDIO, 111, 48_000, 1), 48_000),
        "video": (add_track(rtc, peer, VIDEO, 96, 90_000, 2), 90_000),
    }
    buffer = ctypes.create_string_buffer(16384)
    rtc.CreateOffer(peer, buffer, len(buffer))
    rtc.SetLocalDescription(peer, b"offer")
    rtc.GetLocalDescription(peer, buffer, len(buffer))
    lines = [line for line in buffer.value.decode().splitlines() if not line.startswith(("a=candidate", "a=end-of"))]
    offer = "\r\n".join(lines + [""]).replace("a=setup:actpass", f"a=setup:{role}")
    session = whip.Session(url, token, offer)
    rtc.SetRemoteDescription(peer, session.answer.encode(), b"answer")
    deadline = time.monotonic() + LIMIT
    while state.get("now") != CONNECTED:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not connected: {state}")
        time.sleep(0.01)
    start = time.monotonic()
    with av.open(file) as source:
        annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", source.streams.video[0])
        for packet in source.demux():
            at = packet.dts is not None and float(packet.dts * packet.time_base)
            if packet.dts is None or at >= float(seconds):
                break
            time.sleep(max(0, start + at - time.monotonic()))
            track, clock_rate = tracks[packet.stream.type]
            rtc.SetTrackRtpTimestamp(track, int(at * clock_rate))
            for part in annex_b.filter(packet) if packet.stream.type == "video" else [packet]:
                rtc.SendMessage(track, bytes(part), part.size)
    summary = {"seconds": time.monotonic() - start}
    if state["now"] != CONNECTED:
        raise RuntimeError(f"no longer connected: {state}")
    # OBS closes before it sends its DELETE.
    rtc.ClosePeerConnection(peer)
    session.delete()
    rtc.DeletePeerConnection(peer)
    print(json.dumps(summary))


with Library() as library:
    publish(library, *sys.argv[1:])
