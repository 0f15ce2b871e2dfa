// One WHIP session (RFC 9725): a peer connection, and the HTTP requests of its life. It knows nothing of the page.

const SDP = "application/sdp";
const FRAGMENT = "application/trickle-ice-sdpfrag";
/** A server that has not answered after this long is taken for gone: its own limit for a POST is 7 s. */
const ANSWER_MS = 15_000;
/** At the end, nobody waits longer for a server that may be gone. */
const DELETE_MS = 2_000;

/** In bit/s, for one stream or all layers together: an uplink of 5 Mbit/s carries it with sound. Left to itself, Chromium sends 0.5 Mbit/s. */
const BITRATE_MAX = 4_000_000;
/**
 * The layers of simulcast, the largest first, with the rids of `whipcord publish`. Each has a quarter of the pixels of the one before, and
 * about a quarter of its bitrate: 3 + 0.8 + 0.2 Mbit/s are BITRATE_MAX.
 */
const LAYERS = [
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 3_000_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 800_000 },
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 200_000 },
];
export const RIDS = LAYERS.map(layer => layer.rid);

/** The server said no. Its problem+json (RFC 9457) has a sentence for people. */
export class Refusal extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? `HTTP status ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  static async of(response) {
    const problem = await response.json().catch(() => ({}));
    return new Refusal(response.status, problem, Number(response.headers.get("Retry-After")) || 0);
  }
}

/** No answer at all. */
export class Unreachable extends Error {}

/** A request with the token. Throws Unreachable or Refusal. */
export async function ask(method, url, token, { headers = {}, ...rest } = {}) {
  if (token) headers.Authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(ANSWER_MS);
  const asked = fetch(url, { method, headers, signal, cache: "no-store", ...rest });
  const response = await asked.catch(error => { throw new Unreachable(error.message); });
  if (!response.ok) throw await Refusal.of(response);
  return response;
}

/** Calls `changed` with each new state of the connection: connecting, connected, disconnected, failed, or ended by the server. */
export class Session {
  #peer;
  #endpoint;
  #token;
  #changed;
  #etag = null;
  #candidates = [];
  #patching = Promise.resolve();
  #trickles = true;
  #closing = null;

  constructor(endpoint, token, changed) {
    this.#endpoint = endpoint;
    this.#token = token;
    this.#changed = changed;
    this.url = null;
    this.wasConnected = false;
  }

  get id() {
    return this.url?.pathname.split("/").pop().split(".")[0];
  }

  get peer() {
    return this.#peer;
  }

  /** Publishes the tracks of `media`: the POST, and all candidates found later. */
  async open(media, { codec, simulcast }) {
    const peer = this.#peer = new RTCPeerConnection();
    for (const track of media.getTracks()) add(peer, media, track, codec, simulcast);
    peer.addEventListener("icecandidate", event => this.#found(event.candidate));
    peer.addEventListener("connectionstatechange", () => this.#look());
    await peer.setLocalDescription();
    this.#watchDtls();
    const response = await ask("POST", this.#endpoint, this.#token, {
      headers: { "Content-Type": SDP },
      body: peer.localDescription.sdp,
    });
    if (peer.signalingState === "closed") {
      await ask("DELETE", sessionUrl(response), this.#token);
      return;
    }
    this.#etag = response.headers.get("ETag");
    this.url = sessionUrl(response);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    this.#trickle();
  }

  /** ICE restart (RFC 9725, section 4.3.3): new credentials for both sides, media and its keys go on. */
  async restart() {
    // A server that is away, or has forgotten the session, is found out before anything changes here.
    await this.confirm();
    const peer = this.#peer;
    this.#candidates = [];
    if (peer.signalingState === "have-local-offer") await peer.setLocalDescription({ type: "rollback" });
    const offer = await peer.createOffer({ iceRestart: true });
    const before = peer.remoteDescription.sdp;
    await peer.setLocalDescription(offer);
    const response = await this.#patch("*", []);
    this.#etag = response.headers.get("ETag") ?? this.#etag;
    await peer.setRemoteDescription({ type: "answer", sdp: restarted(before, await response.text()) });
    this.#trickle();
  }

  /** Whether the server still has the session. Throws what `ask` throws. */
  async confirm() {
    await ask("GET", this.url, this.#token);
  }

  /** Ends it on the server, then here; `last` when the page goes away and nobody waits for the answer. */
  close({ last = false } = {}) {
    this.#closing ??= this.#close(last);
    return this.#closing;
  }

  async #close(last) {
    this.#changed = () => {};
    const url = this.url;
    this.url = null;
    if (url) {
      const deleted = ask("DELETE", url, this.#token, { keepalive: last }).catch(() => {});
      // Else the connection's own end would overtake the DELETE, and the server take it for a lost encoder.
      await Promise.race([deleted, new Promise(done => setTimeout(done, DELETE_MS))]);
    }
    this.#peer?.close();
  }

  /** Where the server awaits media, as its answer says: for words about firewalls. */
  mediaAddresses() {
    const lines = this.#peer.remoteDescription?.sdp.match(/^a=candidate:.*$/gm) ?? [];
    const address = line => line.split(" ").slice(4, 6).join(" port ");
    return [...new Set(lines.map(address))];
  }

  #look() {
    const state = this.#peer.connectionState;
    if (state === "connected") this.wasConnected = true;
    this.#changed(state);
  }

  /** A server that ends a session says so by DTLS; the connection's own state does not tell. */
  #watchDtls() {
    const transport = this.#peer.getSenders()[0]?.transport;
    transport?.addEventListener("statechange", () => {
      if (transport.state === "closed") this.#changed("ended");
    });
  }

  #found(candidate) {
    this.#candidates.push(candidate);
    this.#trickle();
  }

  /** Sends what was found, once the server has answered; one request after the other. */
  #trickle() {
    this.#patching = this.#patching.then(async () => {
      const ready = this.url && this.#trickles && this.#peer.signalingState === "stable";
      const found = ready ? this.#candidates.splice(0) : [];
      if (found.length > 0) await this.#patch(this.#etag, found);
    }).catch(error => {
      // The server may do without candidates, as it sees where checks come from; a lost connection shows by itself.
      if (error instanceof Refusal && [405, 501].includes(error.status)) this.#trickles = false;
    });
  }

  #patch(ifMatch, candidates) {
    const headers = { "Content-Type": FRAGMENT, "If-Match": ifMatch };
    const body = fragment(this.#peer.localDescription.sdp, candidates);
    return ask("PATCH", this.url, this.#token, { headers, body });
  }
}

/** The lines that RFC 8840 wants of an offer, with candidates; null stands for their end. */
function fragment(offer, candidates) {
  const line = pattern => offer.match(pattern)?.[0].trim();
  const head = [line(/^a=ice-ufrag:.*$/m), line(/^a=ice-pwd:.*$/m), line(/^m=.*$/m), line(/^a=mid:.*$/m)];
  const lines = candidates.map(found => found?.candidate ? `a=${found.candidate}` : "a=end-of-candidates");
  return [...head, ...new Set(lines), ""].join("\r\n");
}

/** An answer with the ICE credentials and candidates of a restart's fragment in place of its own. */
function restarted(answer, fragment) {
  const ice = /^a=(ice-ufrag|ice-pwd):.*\r?\n/gm;
  const credentials = (fragment.match(ice) ?? []).join("");
  const found = (fragment.match(/^a=(candidate:.*|end-of-candidates)\r?\n/gm) ?? []).join("");
  const old = found ? /^a=(ice-ufrag:|ice-pwd:|candidate:|end-of-candidates).*\r?\n/gm : ice;
  return answer.replace(old, "").replace(/^a=mid:.*\r?\n/gm, mid => mid + credentials + found);
}

/** A server behind a TLS proxy may not know that it is asked by https; a page of https may not ask by http. */
function sessionUrl(response) {
  const url = new URL(response.headers.get("Location"), response.url);
  if (url.host === new URL(response.url).host) url.protocol = new URL(response.url).protocol;
  return url;
}

function add(peer, media, track, codec, simulcast) {
  const video = track.kind === "video";
  const transceiver = peer.addTransceiver(track, {
    direction: "sendonly",
    streams: [media],
    ...(video && { sendEncodings: encodings(codec, simulcast) }),
  });
  if (video && codec) {
    const wanted = [codec.toLowerCase(), "video/rtx"];
    const codecs = RTCRtpSender.getCapabilities("video").codecs;
    transceiver.setCodecPreferences?.(codecs.filter(one => wanted.includes(one.mimeType.toLowerCase())));
  }
}

function encodings(codec, simulcast) {
  if (!simulcast) return [{ maxBitrate: BITRATE_MAX }];
  // Else Chromium makes of VP9's and AV1's three encodings one stream with three spatial layers.
  const mode = /vp9|av1/i.test(codec) ? { scalabilityMode: "L1T1" } : {};
  // The smallest first: what a path cannot carry, Chromium leaves out from the end.
  return LAYERS.toReversed().map(layer => ({ ...layer, ...mode }));
}
