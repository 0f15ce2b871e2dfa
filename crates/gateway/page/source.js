// What is published: the camera, a screen, or a test picture drawn here. Each source is a MediaStream with a way to end it.

/** Pictures per second, and how many of them flash. */
const RATE = 30;
const FLASH = 3;
const [WIDTH, HEIGHT] = [1280, 720];

/** The page's own policy lets this one script become a worker, and nothing else. */
const TICKER = new URL("./ticker.js", import.meta.url).href;
const ticker = globalThis.trustedTypes?.createPolicy("ticker", { createScriptURL: () => TICKER });

/** Only a secure context has them: https, or this very machine. */
export function hasDevices() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/** Resolves to { media, end, missing }: `missing` names what of a camera and a microphone is not there. */
export async function open(kind) {
  switch (kind) {
    case "camera": return camera();
    case "screen": return screen();
    default: return testPicture();
  }
}

async function camera() {
  const video = { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: RATE } };
  const devices = await navigator.mediaDevices.enumerateDevices();
  const there = kind => devices.some(device => device.kind === kind);
  const wanted = { video: there("videoinput") && video, audio: there("audioinput") };
  // With neither, asking for both gives the browser's own words.
  const none = !wanted.video && !wanted.audio;
  const media = await navigator.mediaDevices.getUserMedia(none ? { video, audio: true } : wanted);
  const missing = !wanted.video ? "camera" : !wanted.audio ? "microphone" : null;
  return devicesOf(media, "motion", missing);
}

async function screen() {
  const media = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: RATE } }, audio: true });
  return devicesOf(media, "detail", null);
}

function devicesOf(media, hint, missing) {
  for (const track of media.getVideoTracks()) track.contentHint = hint;
  return { media, missing, end: () => media.getTracks().forEach(track => track.stop()) };
}

/**
 * Numbered pictures with a clock; once a second a flash together with a beep, by which anybody sees whether sound and picture
 * are in step. Programs read the number from the top row: sixteen squares, black or white, the lowest bit at the left; twelve
 * of the number, four of a check.
 */
async function testPicture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d", { alpha: false });
  const background = { bars: drawBars(), noise: drawNoise() };
  const sound = await beeper();
  const start = performance.now();
  const pictures = picturesOf(canvas);
  let last = -1;
  const tick = () => {
    const now = performance.now();
    const n = Math.max(0, Math.floor((now - start) / 1000 * RATE));
    if (n === last) return;
    if (Math.floor(n / RATE) > Math.floor(last / RATE)) sound.beep();
    draw(context, background, n);
    pictures.show(now);
    last = n;
  };
  tick();
  const clock = new Worker(ticker ? ticker.createScriptURL("") : TICKER);
  clock.addEventListener("message", tick);
  // Twice as often as pictures are drawn: one that comes late delays no other.
  clock.postMessage(500 / RATE);
  pictures.track.contentHint = "motion";
  const end = () => {
    clock.terminate();
    pictures.track.stop();
    sound.end();
  };
  return { media: new MediaStream([sound.track, pictures.track]), missing: null, end };
}

/**
 * A track of what is drawn on the canvas. Where it can be, each picture is handed over as it is drawn: captureStream takes none while the
 * page is in the background.
 */
function picturesOf(canvas) {
  if (!globalThis.MediaStreamTrackGenerator || !globalThis.VideoFrame) {
    const [track] = canvas.captureStream(RATE).getVideoTracks();
    return { track, show: () => {} };
  }
  const track = new MediaStreamTrackGenerator({ kind: "video" });
  const writer = track.writable.getWriter();
  const show = now => {
    if (track.readyState === "ended" || writer.desiredSize <= 0) return;
    const picture = new VideoFrame(canvas, { timestamp: Math.round(now * 1000) });
    writer.write(picture).catch(() => picture.close());
  };
  return { track, show };
}

async function beeper() {
  const audio = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  const tone = new OscillatorNode(audio, { frequency: 1000 });
  const gain = new GainNode(audio, { gain: 0 });
  const output = audio.createMediaStreamDestination();
  tone.connect(gain).connect(output);
  tone.start();
  await audio.resume();
  const beep = () => {
    gain.gain.setValueAtTime(0.5, audio.currentTime);
    gain.gain.setValueAtTime(0, audio.currentTime + FLASH / RATE);
  };
  return { beep, track: output.stream.getAudioTracks()[0], end: () => audio.close() };
}

/** What does not change: bars of colour. */
function drawBars() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d", { alpha: false });
  const bars = ["#b4b4b4", "#b4b410", "#10b4b4", "#10b410", "#b410b4", "#b41010", "#1010b4", "#101010"];
  bars.forEach((colour, i) => {
    context.fillStyle = colour;
    context.fillRect(160 * i, 80, 160, HEIGHT - 80);
  });
  return canvas;
}

/** Moving noise, so that an encoder has as much to do as with a camera: else its bitrate would stay near nothing. */
function drawNoise() {
  const image = new ImageData(WIDTH / 2, 60);
  for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 === 3 ? 255 : 96 + Math.random() * 64;
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function draw(context, { bars, noise }, n) {
  context.drawImage(bars, 0, 0);
  const x = n * 14 % WIDTH;
  for (const left of [-x, WIDTH - x]) context.drawImage(noise, left, 600, WIDTH, 120);
  drawNumber(context, n % 4096);
  context.fillStyle = n % RATE < FLASH ? "white" : "black";
  context.fillRect(480, 240, 320, 320);
  // By this a stutter shows: once across in two seconds.
  context.fillStyle = "#ff8c1a";
  context.fillRect((n % (2 * RATE)) / (2 * RATE) * WIDTH, 600, 40, 60);
  context.fillStyle = "black";
  context.fillRect(480, 100, 320, 120);
  context.fillStyle = "white";
  context.textAlign = "center";
  context.font = "600 44px ui-monospace, monospace";
  context.fillText(new Date().toISOString().slice(11, 21), 640, 150);
  context.font = "28px ui-monospace, monospace";
  context.fillText(`picture ${n}`, 640, 195);
}

function drawNumber(context, n) {
  const check = 15 - (n + (n >> 4) + (n >> 8)) % 16;
  for (let bit = 0; bit < 16; bit++) {
    context.fillStyle = ((check << 12) + n) >> bit & 1 ? "white" : "black";
    context.fillRect(80 * bit, 0, 80, 80);
  }
}
