// Links to recordings. The server gives one to whoever may publish the stream; it needs no token, and may only read.

import { Refusal, ask } from "./session.js";

export class Links {
  /** By session id: a URL, or null for a stream that this token may see and not publish. */
  #known = new Map();

  /** The link to a session's recording; null as long as there is none. Each refusal but a 403 may pass, and is asked about again. */
  async of(id, stream, token) {
    if (this.#known.has(id)) return this.#known.get(id);
    const url = new URL(`recordings/${stream}/${id}`, document.baseURI);
    try {
      const link = (await ask("HEAD", url, token)).headers.get("Content-Location");
      this.#known.set(id, link && new URL(link, url).href);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.status !== 403) return null;
      this.#known.set(id, null);
    }
    return this.#known.get(id);
  }

  /** Forgets all but these sessions'. */
  keep(ids) {
    for (const id of this.#known.keys()) if (!ids.includes(id)) this.#known.delete(id);
  }
}
