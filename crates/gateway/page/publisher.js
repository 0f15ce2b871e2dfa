// Publishes one source until it is stopped, through whatever happens. It knows nothing of the page's elements.
//
// What happens is one word at a time in `#now`: a state of the connection, or "ended" by the server, "source ended", "stopped". One loop
// follows it; everything that takes time can be cut short by the next word.

import { Refusal, Session, ask } from "./session.js";
import { open } from "./source.js";
import { Ended, NoPath, SourceEnded, Taken, mayPass, words } from "./words.js";

/** Between two tries: 1, 2, 4, 8 s, and no longer than this, as somebody waits for the stream. */
const PAUSE_MAX_MS = 15_000;
/** A restart that has not connected after this long is repeated: a browser gives a path up after some 15 s. */
const RESTART_MS = 20_000;
/** A path that stops for a moment has this long to come back, on top of the 5 s or so after which the browser noticed. */
const PATIENCE_MS = 3_000;
const INTERRUPTED = {
  what: "The connection is interrupted: the network path changed or broke.",
  todo: "Nothing, if this device is on a network: the stream goes on as soon as there is a path again.",
};

/** The live sessions that a token may see, by id. */
export async function liveSessions(token) {
  return (await ask("GET", new URL("whip-stats", document.baseURI), token)).json();
}

/** Calls `tell(state, text, trouble)`: idle, busy, live or failed; a sentence; and { what, todo } or null. */
export class Publisher {
  #tell;
  #settings;
  #source = null;
  #session = null;
  #now = "stopped";
  #wake = () => {};

  constructor(tell) {
    this.#tell = tell;
  }

  get session() {
    return this.#session;
  }

  /** Ends when it is stopped, or cannot go on. `opened` is called when the source is open. */
  async start(settings, opened) {
    this.#settings = settings;
    this.#now = "new";
    try {
      await this.#open(opened);
      await this.#publish();
      await this.#session?.close();
      this.#tell("idle", "Not publishing", null);
    } catch (error) {
      const stopped = this.#now === "stopped";
      this.#tell(stopped ? "idle" : "failed", "Not publishing", stopped ? null : words(error, settings));
    } finally {
      this.#source?.end();
      this.#source = null;
    }
  }

  async stop() {
    this.#tell("busy", "Stopping…", null);
    this.#turn("stopped");
    await this.#session?.close();
  }

  /** The page goes away: the server is told, and nobody waits. */
  leave() {
    this.#turn("stopped");
    this.#session?.close({ last: true });
  }

  async #open(opened) {
    this.#tell("busy", "Opening the source…", null);
    this.#source = await open(this.#settings.source);
    for (const track of this.#source.media.getTracks()) {
      track.addEventListener("ended", () => this.#turn("source ended"));
    }
    opened(this.#source.media);
  }

  /** One session after the other, as long as what goes wrong may pass. */
  async #publish() {
    let tries = 0;
    while (this.#now !== "stopped") {
      try {
        await this.#publishOnce(() => { tries = 0; });
      } catch (error) {
        if (this.#now === "stopped") return;
        if (!mayPass(error)) {
          await this.#session.close();
          throw error;
        }
        this.#session.close();
        this.#turn("new");
        await this.#pause(error, tries++);
      }
    }
  }

  async #publishOnce(connected) {
    const { stream, token } = this.#settings;
    const endpoint = new URL(`whip/${stream}`, document.baseURI);
    this.#session = new Session(endpoint, token, state => this.#turn(state));
    this.#tell("busy", "Connecting…", null);
    await this.#session.open(this.#source.media, this.#settings);
    await this.#follow(this.#session, connected);
  }

  async #follow(session, connected) {
    for (let seen = "new"; ;) {
      while (this.#now === seen) await this.#sleep();
      seen = this.#now;
      switch (seen) {
        case "stopped": return;
        case "source ended": throw new SourceEnded();
        case "ended": throw await this.#why(session);
        case "connected":
          connected();
          this.#tell("live", this.#liveText(), null);
          break;
        case "failed":
          if (!session.wasConnected) throw new NoPath(session.mediaAddresses());
          await this.#recover(session);
          break;
        case "disconnected":
          await this.#recover(session);
          break;
        default:
      }
    }
  }

  /**
   * Until the connection's state is another one. A browser calls a path failed after some 20 s, and the server ends a session after 30
   * silent ones; so an interrupted one is restarted, too, unless it comes back by itself at once.
   */
  async #recover(session) {
    const state = this.#now;
    let patient = state === "disconnected";
    for (let tries = 0; this.#now === state;) {
      try {
        this.#tell("busy", "No media gets through; looking for a path…", INTERRUPTED);
        await (patient ? session.confirm() : session.restart());
        // What came while that was asked has woken nobody.
        if (this.#now === state) await this.#sleep(patient ? PATIENCE_MS : RESTART_MS);
      } catch (error) {
        if (this.#now !== state) return;
        if (error instanceof Refusal && error.status === 404) throw await this.#why(session);
        if (!mayPass(error)) throw error;
        await this.#pause(error, tries++);
      }
      patient = false;
    }
  }

  /** Why the server no longer has a session. */
  async #why(session) {
    const { stream, token } = this.#settings;
    const others = Object.entries(await liveSessions(token)).filter(([id]) => id !== session.id);
    return others.some(([, other]) => other.stream === stream) ? new Taken() : new Ended();
  }

  async #pause(error, tries) {
    const asked = error instanceof Refusal ? error.retryAfter * 1000 : 0;
    const pause = Math.max(asked, Math.min(1000 * 2 ** tries, PAUSE_MAX_MS));
    this.#tell("busy", `Not live. Trying again in ${Math.ceil(pause / 1000)} s…`, words(error, this.#settings));
    await this.#sleep(pause);
  }

  #liveText() {
    const { missing } = this.#source;
    return missing ? `Live, without a ${missing}: none was found` : "Live";
  }

  #turn(word) {
    // Nothing comes after these two.
    if (["stopped", "source ended"].includes(this.#now)) return;
    this.#now = word;
    this.#wake();
  }

  /** Until the next word, or for so many milliseconds. */
  #sleep(ms) {
    return new Promise(done => {
      const timer = ms === undefined ? 0 : setTimeout(done, ms);
      this.#wake = () => { clearTimeout(timer); done(); };
    });
  }
}
