#!/usr/bin/env python3
"""Publishes SECONDS of FILE with PyAV, as it is: pyav.py passive|active URL TOKEN SECONDS FILE

PyAV's wheel brings an FFmpeg of its own, whose WHIP muxer this uses.
"""

import sys
import time

import whip

whip.use_installed()
import av


def main(role, url, token, seconds, file):
    av.logging.set_level(av.logging.VERBOSE)
    flags = {"passive": "0", "active": "dtls_active"}[role]
    options = {"authorization": token, "whip_flags": flags}
    with av.open(file) as source, av.open(url, "w", format="whip", options=options) as sink:
        streams = {stream.index: sink.add_stream_from_template(stream) for stream in source.streams}
        start = None
        for packet in source.demux():
            if packet.dts is None or packet.pts * packet.time_base >= float(seconds):
                break
            if start is None:
                sink.start_encoding()  # connects
                start = time.monotonic()
            time.sleep(max(0, start + float(packet.dts * packet.time_base) - time.monotonic()))
            packet.stream = streams[packet.stream.index]
            sink.mux(packet)


main(*sys.argv[1:])
