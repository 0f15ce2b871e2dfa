// Each thing that can go wrong, in words: what happened, and what to do.

import { Refusal, Unreachable } from "./session.js";

/** No media ever came through, though the server answered. */
export class NoPath extends Error {
  constructor(addresses) {
    super();
    this.addresses = addresses;
  }
}

/** Another publisher has the stream now. */
export class Taken extends Error {}

/** The server ended the session, and nobody else has the stream. */
export class Ended extends Error {}

/** The source ended by itself: a camera was unplugged, a screen no longer shared. */
export class SourceEnded extends Error {}

/** Whether it may pass by itself, so that trying again makes sense. */
export function mayPass(error) {
  if (error instanceof Refusal) return error.status >= 500 || [408, 409, 429].includes(error.status);
  return [Unreachable, NoPath, Ended].some(kind => error instanceof kind);
}

/** { what, todo } of an error, for the stream and source that were asked for. */
export function words(error, { stream, source }) {
  if (error instanceof Refusal) return refused(error, stream);
  if (error instanceof Unreachable) return unreachable();
  if (error instanceof NoPath) return noPath(error.addresses);
  if (error instanceof Taken) {
    return say(`Another publisher took the stream “${stream}”.`,
      "Start again to take it back, or choose another stream name.");
  }
  if (error instanceof Ended) return say("The server ended this session; it may have been restarted.", "");
  if (error instanceof SourceEnded) return sourceEnded(source);
  if (error instanceof DOMException) return device(error, source);
  if (!globalThis.RTCPeerConnection) {
    return say("This browser cannot publish: it has no WebRTC, or it is switched off.",
      "Switch it on, use another browser, or one of the encoders below.");
  }
  return say(`Something unexpected went wrong: ${error.message}`, "Reload the page and try again.");
}

function say(what, todo) {
  return { what, todo };
}

function refused(error, stream) {
  const detail = sentence(error.message);
  switch (error.status) {
    case 401:
      return say(`The server refuses the token: ${detail}`,
        "Copy the token that the server printed when it started, or ask whoever runs it for one. After a restart without keys of its own it makes a new one.");
    case 403:
      return say(`The server refuses the token for this stream: ${detail}`,
        `Choose a stream name that the token is for, or ask for a token for “${stream}”.`);
    case 422:
      return say(`The server cannot take what this browser offers: ${detail}`, "Choose another video codec.");
    case 400:
      return say(`The server does not understand the request: ${detail}`, "Look at the stream name.");
    default:
      return say(`The server answers with status ${error.status}: ${detail}`, "");
  }
}

function unreachable() {
  if (!navigator.onLine) return say("This device is not on a network.", "Connect it.");
  return say(`The server at ${location.host} does not answer.`, "Look whether it runs, and whether this device is still on its network.");
}

function noPath(addresses) {
  const list = addresses.join(" or ") || "its media port";
  return say(`The server answers, but no media gets through to ${list} (UDP).`,
    "Let UDP through to there in firewalls between this device and the server. If this device reaches the server by another address, start the server with --advertise and that address.");
}

function sourceEnded(source) {
  if (source === "screen") return say("The screen is no longer shared.", "Start again, and choose what to share.");
  return say("The camera or microphone went away.", "Plug it in again, then start again.");
}

function device(error, source) {
  const other = "Or choose the test picture.";
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return source === "screen"
        ? say("No screen was chosen, or the browser may not share it.", `Start again, choose one, and allow it. ${other}`)
        : say("The browser may not use the camera or the microphone.",
          `Allow them for this page (the icon beside the address) and in the system's privacy settings, then start again. ${other}`);
    case "NotFoundError":
    case "OverconstrainedError":
      return say(source === "screen" ? "There is no screen to share." : "No camera and no microphone was found.",
        `Plug one in, then start again. ${other}`);
    case "NotReadableError":
    case "AbortError":
      if (source === "screen") {
        return say("The screen cannot be captured; the system may not allow the browser to.",
          `Allow it in the system's privacy settings, then start again. ${other}`);
      }
      return say("The camera or the microphone does not start; another program may be using it.",
        `Close that program, then start again. ${other}`);
    default:
      return say(`The browser cannot do this: ${error.message}`, "Try another source or video codec, or another browser.");
  }
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
