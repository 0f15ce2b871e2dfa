#!/bin/sh
# Publishes SECONDS of FILE with FFmpeg, as it is: ffmpeg.sh passive|active URL TOKEN SECONDS FILE
# FFmpeg offers the DTLS role that it will play and takes no other: passive unless told.
set -eu
case $1 in
passive) flags=0 ;;
active) flags=dtls_active ;;
*) exit 2 ;;
esac
exec "$(dirname "$0")/../../../.cache/interop/bin/ffmpeg" -nostdin -hide_banner -loglevel "${FFMPEG_LOGLEVEL:-verbose}" \
    -re -t "$4" -i "$5" -codec copy \
    -f whip -whip_flags "$flags" -handshake_timeout "${HANDSHAKE_TIMEOUT:-5000}" -authorization "$3" "$2"
