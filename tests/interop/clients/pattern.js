"use strict";
// Draws numbered pictures on the canvas #picture, flashes and beeps once a second. Where the number and the flash are
// drawn is said in tests/src/pattern.rs, which reads them back.
export const RATE = 30;

export function beeper() {
  const audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
  const tone = new OscillatorNode(audio, { frequency: 1000 });
  const gain = new GainNode(audio, { gain: 0 });
  const output = audio.createMediaStreamDestination();
  tone.connect(gain).connect(output);
  tone.start();
  const beep = () => {
    gain.gain.setValueAtTime(0.5, audio.currentTime);
    gain.gain.setValueAtTime(0, audio.currentTime + 0.1);
  };
  return { beep, track: output.stream.getAudioTracks()[0] };
}

function noise() {
  const image = new ImageData(640, 360);
  for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 == 3 ? 255 : 96 + Math.random() * 64;
  return createImageBitmap(image);
}

// Draws picture n: a moving background that keeps an encoder busy, the number's bits and its check in a row, the flash.
function draw(context, background, n) {
  context.imageSmoothingEnabled = false;
  const x = -((n * 7) % 640), y = -((n * 3) % 360);
  context.drawImage(background, 2 * x, 2 * y, 1280, 720);
  context.drawImage(background, 2 * x + 1280, 2 * y, 1280, 720);
  context.drawImage(background, 2 * x, 2 * y + 720, 1280, 720);
  context.drawImage(background, 2 * x + 1280, 2 * y + 720, 1280, 720);
  n %= 4096;
  const check = 15 - (n + (n >> 4) + (n >> 8)) % 16;
  for (let bit = 0; bit < 16; bit++) {
    context.fillStyle = ((check << 12) + n) >> bit & 1 ? "white" : "black";
    context.fillRect(80 * bit, 0, 80, 80);
  }
  context.fillStyle = n % RATE < 3 ? "white" : "black";
  context.fillRect(480, 240, 320, 320);
}

export async function play(video, beep) {
  const context = document.getElementById("picture").getContext("2d", { alpha: false });
  const background = await noise();
  const state = { first: 0, last: -1 };
  const start = performance.now();
  const tick = now => {
    const n = Math.floor((now - start) / 1000 * RATE);
    if (n > state.last) {
      if (Math.floor(n / RATE) > Math.floor(state.last / RATE)) beep();
      draw(context, background, n);
      state.last = n;
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  return state;
}
