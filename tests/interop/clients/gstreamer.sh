#!/bin/sh
# Publishes with gstreamer.py and the GStreamer of a Debian release: gstreamer.sh 12|sid URL TOKEN SECONDS FILE
set -eu
here=$(dirname "$0")
case $1 in
12) set -- /usr/bin/python3 "$here/gstreamer.py" "$@" ;;
sid) set -- "$here/../../../.cache/interop/bin/sid" python3 "$here/gstreamer.py" "$@" ;;
*) exit 2 ;;
esac
exec "$@"
