#!/bin/sh
# Publishes SECONDS of FILE (H.264 and Opus in Matroska) with simple-whip-client: simple-whip-client.sh h264 URL TOKEN SECONDS FILE
# It runs until interrupted, and then sends its DELETE; when it ends earlier, it has failed, whatever its exit status.
set -eu
source="filesrc location=$5 ! matroskademux name"
export LD_LIBRARY_PATH="$(dirname "$0")/../../../.cache/interop/lib"
timeout --foreground --signal INT --kill-after 5 "$4" whip-client --url "$2" --token "$3" --disable-colors \
    --video "$source=v v.video_0 ! h264parse config-interval=-1 ! identity sync=true ! rtph264pay pt=96 ssrc=1 ! queue ! application/x-rtp,media=video,encoding-name=H264,payload=96" \
    --audio "$source=a a.audio_0 ! opusparse ! identity sync=true ! rtpopuspay pt=100 ssrc=2 ! queue ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100" &&
    status=0 || status=$?
[ "$status" -eq 124 ]
