// What to copy into other encoders: this server's address, the stream and the token, in each encoder's own form.

const SAFE = /^[A-Za-z0-9._~:\/@%+=,-]+$/;

/** [{ name, note, lines: [{ label, text }] }]; `url` and `token` go in as they are. */
export function encoders(url, token) {
  const [u, t] = [quoted(url), quoted(token)];
  return [
    {
      name: "OBS Studio 30 or newer",
      note: "Settings → Stream: service WHIP, then these two. Settings → Output: keyframe interval 1 or 2 s, no B-frames.",
      lines: [{ label: "OBS server", text: url }, { label: "OBS bearer token", text: token }],
    },
    {
      name: "FFmpeg 8 or newer",
      note: "A file; for a camera put its device in place of -re -i in.mp4.",
      lines: [{
        label: "FFmpeg line",
        text: `ffmpeg -re -i in.mp4 -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -bf 0 -g 60 -c:a libopus -ar 48000 -ac 2 -f whip -authorization ${t} ${u}`,
      }],
    },
    {
      name: "GStreamer with gst-plugins-rs",
      note: "A test picture; put your own source in place of videotestsrc and audiotestsrc. Not run here: Debian has no package of these plugins.",
      lines: [{
        label: "GStreamer line",
        text: `gst-launch-1.0 whipclientsink name=whip signaller::whip-endpoint=${u} signaller::auth-token=${t} videotestsrc is-live=true ! videoconvert ! x264enc tune=zerolatency bframes=0 key-int-max=60 ! h264parse ! whip. audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! whip.`,
      }],
    },
    {
      name: "Whipcord itself",
      note: "A test picture; or the path of an MP4, MKV or WebM file in place of test.",
      lines: [{ label: "Whipcord line", text: `whipcord publish ${u} test --token ${t}` }],
    },
  ];
}

/** For a POSIX shell. */
function quoted(text) {
  return SAFE.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
