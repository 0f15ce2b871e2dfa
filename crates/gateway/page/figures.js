// What a peer connection's getStats says, as figures for people. Bitrates are of the time between two looks.

import { RIDS } from "./session.js";

export class Figures {
  #before = new Map();

  /** { list: [[name, value]], layers: [{ rid, size, frameRate, bitrate }] } */
  async read(peer) {
    const stats = [...(await peer.getStats()).values()];
    const outbound = kind => stats.filter(one => one.type === "outbound-rtp" && one.kind === kind);
    const [video, audio] = [outbound("video"), outbound("audio")];
    const active = video.filter(one => one.frameWidth);
    const best = active.toSorted((a, b) => b.frameWidth - a.frameWidth)[0];
    const bitrates = new Map(stats.map(one => [one.id, this.#bitrate(one)]));
    const sum = list => list.reduce((bits, one) => bits + (bitrates.get(one.id) ?? 0), 0);
    this.#before = new Map(stats.map(one => [one.id, one]));
    const list = [
      ["Video", video.length ? bits(sum(video)) : "none"],
      ["Sound", audio.length ? bits(sum(audio)) : "none"],
      ["Round trip", milliseconds(roundTrip(stats))],
      ["Size", best ? size(best) : "–"],
      ["Frames per second", best ? String(best.framesPerSecond ?? 0) : "–"],
      ["Packets lost", percent(stats)],
      ["Codec", codec(stats, best)],
      ["Held back by", limit(best)],
    ];
    const layers = video.filter(one => one.rid).toSorted(largestFirst);
    return { list, layers: layers.map(one => layer(one, bitrates.get(one.id))) };
  }

  /** Bits per second since the last look. */
  #bitrate(now) {
    const before = this.#before.get(now.id);
    if (!before || now.bytesSent === undefined || now.timestamp <= before.timestamp) return 0;
    return (now.bytesSent - before.bytesSent) * 8000 / (now.timestamp - before.timestamp);
  }
}

export function bits(bitrate) {
  if (bitrate >= 1e6) return `${(bitrate / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bitrate / 1000)} kbit/s`;
}

function roundTrip(stats) {
  const transport = stats.find(one => one.type === "transport");
  const pair = stats.find(one => one.id === transport?.selectedCandidatePairId)
    ?? stats.find(one => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
  return pair?.currentRoundTripTime;
}

function milliseconds(seconds) {
  if (seconds === undefined) return "–";
  return seconds < 0.001 ? "under 1 ms" : `${Math.round(seconds * 1000)} ms`;
}

/** Of the last report of the server for each stream, the worst. */
function percent(stats) {
  const fractions = stats.filter(one => one.type === "remote-inbound-rtp").map(one => one.fractionLost ?? 0);
  return fractions.length ? `${(Math.max(...fractions) * 100).toFixed(1)} %` : "–";
}

function codec(stats, best) {
  const found = stats.find(one => one.id === best?.codecId);
  return found ? found.mimeType.split("/")[1] : "–";
}

function limit(best) {
  const reasons = { bandwidth: "the network", cpu: "this processor", none: "nothing" };
  return reasons[best?.qualityLimitationReason] ?? "–";
}

function largestFirst(a, b) {
  return RIDS.indexOf(a.rid) - RIDS.indexOf(b.rid);
}

function layer(one, bitrate) {
  const live = one.active !== false && one.frameWidth > 0 && bitrate > 0;
  return {
    rid: one.rid,
    size: one.frameWidth ? size(one) : "–",
    frameRate: live ? String(one.framesPerSecond ?? 0) : "–",
    bitrate: live ? bits(bitrate) : "not sent",
  };
}

function size({ frameWidth, frameHeight }) {
  return `${frameWidth} × ${frameHeight}`;
}
