// The page's elements: what is entered goes to the publisher, what it tells is shown.

import { encoders } from "./encoders.js";
import { Figures, bits } from "./figures.js";
import { Links } from "./links.js";
import { Publisher, liveSessions } from "./publisher.js";
import { hasDevices } from "./source.js";
import { words } from "./words.js";

const TOKEN = "whipcord-token";
/** In place of a token that is not entered, and of one that is not shown. */
const [NO_TOKEN, HIDDEN_TOKEN] = ["TOKEN", "••••••••"];
/** A stream's name, as the server takes it: up to 8 parts, none of them `.` or `..`. */
const NAME = /^(?!(.*\/)?\.\.?(\/|$))[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+){0,7}$/;
const FIGURES_MS = 1000;
const STREAMS_MS = 5000;
/** Until this page's own recording has a link: a recording begins a second or two after its stream. */
const RECORDING_MS = 1000;

const at = id => document.getElementById(id);
const form = at("settings");
const publisher = new Publisher(tell);

begin();

function begin() {
  at("address").textContent = `at ${location.host}`;
  at("token").value = sessionStorage.getItem(TOKEN) ?? "";
  listCodecs();
  if (!hasDevices()) explainInsecure();
  showEncoders();
  form.addEventListener("submit", event => { event.preventDefault(); start(); });
  form.addEventListener("input", entered);
  at("show-token").addEventListener("change", () => { at("token").type = at("show-token").checked ? "text" : "password"; });
  at("stop").addEventListener("click", () => publisher.stop());
  at("refresh").addEventListener("click", () => listStreams());
  addEventListener("pagehide", () => publisher.leave());
  setInterval(showFigures, FIGURES_MS);
  setInterval(() => { if (isLive()) listStreams(); }, STREAMS_MS);
  setInterval(() => { if (isLive() && at("recording").hidden) listStreams(); }, RECORDING_MS);
}

function entered() {
  // In this tab only, and gone with it.
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("stream").setCustomValidity("");
  showEncoders();
}

function settings() {
  return {
    stream: at("stream").value.trim(),
    token: at("token").value.trim(),
    source: form.elements.source.value,
    codec: at("codec").value,
    simulcast: at("simulcast").checked,
  };
}

async function start() {
  if (!NAME.test(at("stream").value.trim())) {
    at("stream").setCustomValidity("A name such as live/studio-1: letters, digits and . _ ~ -, in up to 8 parts divided by /");
    at("stream").reportValidity();
    return;
  }
  const given = settings();
  lock(true);
  at("recording").hidden = true;
  // On a phone it is above, and out of sight.
  at("state").scrollIntoView({ block: "nearest" });
  await publisher.start(given, preview);
  preview(null);
  lock(false);
}

/** What is set cannot change while publishing; the focus goes to the button that can be pressed. */
function lock(on) {
  const had = document.activeElement === at(on ? "start" : "stop");
  for (const element of form.elements) element.disabled = on;
  for (const element of ["token", "show-token"]) at(element).disabled = false;
  at("token").readOnly = on;
  at("stop").disabled = !on;
  if (!on && !hasDevices()) explainInsecure();
  if (had) at(on ? "stop" : "start").focus();
}

function preview(media) {
  const video = at("preview");
  video.srcObject = media;
  video.hidden = !media;
  at("placeholder").hidden = Boolean(media);
  // A page that is not being looked at may not start a video; it is only the preview.
  if (media) video.play().catch(() => {});
}

function tell(state, text, trouble) {
  const wasLive = isLive();
  at("state").dataset.state = state;
  setText("state", text);
  setText("what", trouble?.what ?? "");
  setText("todo", trouble?.todo ? `What to do: ${trouble.todo}` : "");
  at("trouble").hidden = !trouble;
  if (wasLive !== isLive()) showFigures();
  if (wasLive !== isLive() && state !== "busy") listStreams();
}

/** A text that did not change is not read out again. */
function setText(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function isLive() {
  return at("state").dataset.state === "live";
}

function explainInsecure() {
  for (const radio of form.elements.source) radio.disabled = radio.value !== "test";
  form.elements.source.value = "test";
  at("insecure").hidden = false;
  at("insecure").textContent = `Camera, microphone and screen are missing because this page came by plain http from ${location.hostname}: `
    + "browsers give them only to pages that came by https, or from this very machine (http://127.0.0.1). "
    + "Start the server with --tls-cert and --tls-key, or put a TLS proxy before it, and open the page by https. "
    + "Or publish the test picture: it works here, too.";
}

function listCodecs() {
  const all = globalThis.RTCRtpSender?.getCapabilities?.("video")?.codecs ?? [];
  const types = new Set(all.map(one => one.mimeType));
  for (const type of types) {
    const name = type.split("/")[1];
    if (!/^(rtx|red|ulpfec|flexfec.*)$/i.test(name)) at("codec").add(new Option(name, type));
  }
}

const figures = new Figures();

async function showFigures() {
  const peer = isLive() ? publisher.session?.peer : null;
  const read = peer ? await figures.read(peer) : null;
  const { list, layers } = read && isLive() ? read : { list: [], layers: [] };
  at("figures").hidden = list.length === 0;
  at("figures").replaceChildren(...list.map(([name, value]) => element("div", [element("dt", [name]), element("dd", [value])])));
  at("layers").hidden = layers.length === 0;
  fill("layers", layers.map(({ rid, size, frameRate, bitrate }) => [rid, size, frameRate, bitrate]));
}

const links = new Links();

/** Of the list: idle, running, or running and asked for again meanwhile. */
let listing = "idle";

/** One at a time, else an older answer could overwrite a newer one. */
async function listStreams() {
  if (listing !== "idle") {
    listing = "again";
    return;
  }
  try {
    do {
      listing = "running";
      await showStreams();
    } while (listing === "again");
  } finally {
    listing = "idle";
  }
}

/** By /whip-stats: what a token may see. */
async function showStreams() {
  const token = at("token").value.trim();
  try {
    const sessions = Object.entries(await liveSessions(token));
    links.keep(sessions.map(([id]) => id));
    const rows = [];
    for (const [id, { stream, tracks, bitrate_bps: bitrate, recording }] of sessions) {
      const link = recording && await links.of(id, stream, token);
      const codecs = [...new Set(tracks.map(track => track.codec))].join(", ");
      rows.push([stream, codecs, bits(bitrate), recording ? recordingLink(recording, link) : "no file so far"]);
      if (link && id === publisher.session?.id) showRecording(recording, link);
    }
    fill("streams", rows);
    setText("streams-said", sessions.length ? "" : "No stream that this token may see is live.");
  } catch (error) {
    fill("streams", []);
    const { what, todo } = words(error, settings());
    setText("streams-said", `${what} ${todo}`);
  }
}

/** Of this page's own stream; it stays when the stream has ended. */
function showRecording(name, link) {
  if (!isLive() || at("recording").dataset.name === name && !at("recording").hidden) return;
  at("recording").dataset.name = name;
  at("recording").replaceChildren("Recorded to ", recordingLink(name, link), " in the server's recordings folder.");
  at("recording").hidden = false;
}

/** In a tab of its own: leaving this page ends what it publishes. */
function recordingLink(name, link) {
  return link ? element("a", [name], { href: link, target: "_blank", rel: "noopener noreferrer" }) : name;
}

function showEncoders() {
  const { stream, token } = settings();
  const url = new URL(`whip/${stream}`, document.baseURI).href;
  const shown = token && !at("show-token").checked ? HIDDEN_TOKEN : token || NO_TOKEN;
  // What is shown and what is copied differ in the token only.
  const [seen, copied] = [encoders(url, shown), encoders(url, token || NO_TOKEN)];
  if (at("encoders").childElementCount === 0) at("encoders").replaceChildren(...seen.map(buildEncoder));
  const lines = at("encoders").querySelectorAll(".line");
  const texts = list => list.flatMap(one => one.lines.map(line => line.text));
  texts(seen).forEach((text, i) => { lines[i].querySelector("pre").textContent = text.replaceAll(`'${HIDDEN_TOKEN}'`, HIDDEN_TOKEN); });
  texts(copied).forEach((text, i) => { lines[i].copied = text; });
}

function buildEncoder({ name, note, lines }) {
  const rows = lines.map(({ label }) => {
    const button = element("button", ["Copy"], { type: "button", ariaLabel: `Copy the ${label}` });
    const row = element("div", [element("pre", [], { tabIndex: 0, ariaLabel: label, role: "region" }), button], { className: "line" });
    button.addEventListener("click", () => copy(row, label));
    return row;
  });
  return element("div", [element("h3", [name]), element("p", [note]), ...rows], { className: "encoder" });
}

async function copy(row, label) {
  try {
    // The clipboard is for secure contexts only, too.
    if (navigator.clipboard) await navigator.clipboard.writeText(row.copied);
    else copyBySelection(row.copied);
    setText("copied", `Copied: ${label}`);
  } catch {
    setText("copied", `The browser does not let this page copy. Tick “Show the token”, then select the ${label} and copy it.`);
  }
}

function copyBySelection(text) {
  const field = element("textarea", [text], { readOnly: true });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

function element(name, children, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function fill(id, rows) {
  const body = at(id).querySelector("tbody");
  body.replaceChildren(...rows.map(cells => element("tr", cells.map(cell => element("td", [cell])))));
}
