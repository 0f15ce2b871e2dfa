#!/bin/sh
# Publishes SECONDS of FILE (H.264 and Opus in Matroska) with the simple-whip-client of a Debian release:
# simple-whip-client.sh 12|sid URL TOKEN SECONDS FILE
# It runs until interrupted, and then sends its DELETE; when it ends earlier, it has failed, whatever its exit status.
set -eu
cache="$(dirname "$0")/../../../.cache/interop"
source="filesrc location=$5 ! matroskademux name"
case $1 in
12)
    client=whip-client
    export LD_LIBRARY_PATH="$cache/lib"
    ;;
sid) client="$cache/bin/sid whip-client" ;;
*) exit 2 ;;
esac
# $client is one word or two.
timeout --foreground --signal INT --kill-after 5 "$4" $client --url "$2" --token "$3" --disable-colors \
    --video "$source=v v.video_0 ! h264parse config-interval=-1 ! identity sync=true ! rtph264pay pt=96 ssrc=1 ! queue ! application/x-rtp,media=video,encoding-name=H264,payload=96" \
    --audio "$source=a a.audio_0 ! opusparse ! identity sync=true ! rtpopuspay pt=100 ssrc=2 ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100" &&
    status=0 || status=$?
[ "$status" -eq 124 ]
