/**
 * What the user has written and the page does not show as sent yet. The client keeps and sends it;
 * this knows how each one gets on: `pending` while it waits, `sent` when it is accepted but not
 * yet seen in its mailbox, `failed` when it was refused. Knows nothing of the DOM.
 */

/**
 * @typedef {object} Entry
 * @property {string} id a UUID
 * @property {string} mailbox
 * @property {any} body
 * @property {string | null} [posted] it is a post of one's own, in this state
 * @property {number} created ms since 1970
 * @property {'pending' | 'sent' | 'failed'} state
 * @property {string} [reason] why it was refused
 */

/** Where one's own posts are found. */
export const POSTS = "posts";
/** What was refused is remembered for this tab. */
const REFUSED = "readcast.refused";

export class Outbox {
  #client;
  #changed;
  /** @type {Entry[]} */
  #waiting = [];
  /** Those that have left the queue. @type {Map<string, Entry>} */
  #settled = new Map();
  /** Ids that the page shows in their mailbox, or nobody wants, while they leave the queue. */
  #dropped = new Set();

  /**
   * @param {object} options
   * @param {import('./readcast.js').Client} options.client
   * @param {() => void} options.changed
   */
  constructor({ client, changed }) {
    this.#client = client;
    this.#changed = changed;
    for (const entry of JSON.parse(sessionStorage.getItem(REFUSED) ?? "[]")) {
      this.#settled.set(entry.id, entry);
    }
    client.on("queue", (waiting) => this.#wait(waiting));
    client.on("accepted", (waiting) => this.#settle({ ...asEntry(waiting), state: "sent" }));
    client.on("refused", (waiting, error) => this.#refuse(waiting, error));
  }

  /** @param {string} mailbox @returns {Entry[]} in the order of writing */
  of(mailbox) {
    const waiting = this.#waiting.filter(({ id }) => !this.#settled.has(id) && !this.#dropped.has(id));
    return [...this.#settled.values(), ...waiting]
      .filter((entry) => entry.mailbox === mailbox)
      .sort((a, b) => a.created - b.created);
  }

  /** @param {string} mailbox @param {any} body */
  add(mailbox, body) {
    this.#send({ id: crypto.randomUUID(), mailbox, body });
  }

  /** @param {any} body @param {string | null} posted the post's state */
  post(body, posted) {
    this.#send({ id: crypto.randomUUID(), mailbox: POSTS, body, posted });
  }

  /** Try a refused one again, under the same id. @param {string} id */
  retry(id) {
    const entry = this.#settled.get(id);
    if (entry?.state !== "failed") return;
    this.#settled.delete(id);
    this.#update();
    this.#send(entry);
  }

  /** It is in its mailbox, or nobody wants it any more. @param {string} id */
  drop(id) {
    if (this.#waiting.some((entry) => entry.id === id)) this.#dropped.add(id);
    else if (!this.#settled.has(id)) return;
    this.#settled.delete(id);
    this.#update();
  }

  /** What cannot be kept is shown as refused; other refusals come as an event. */
  async #send({ id, mailbox, body, posted }) {
    const created = Date.now();
    const isPost = mailbox === POSTS;
    try {
      if (isPost) await this.#client.post(body, { id, state: posted });
      else await this.#client.send(mailbox, body, { id });
    } catch (error) {
      const op = isPost ? "post" : "send";
      if (!this.#settled.has(id)) this.#refuse({ op, id, mailbox, body, state: posted, created }, error);
    }
  }

  #wait(waiting) {
    this.#waiting = waiting.map(asEntry);
    const ids = new Set(waiting.map(({ id }) => id));
    for (const id of this.#dropped) if (!ids.has(id)) this.#dropped.delete(id);
    this.#changed();
  }

  #refuse(waiting, { code, message }) {
    if (code === "discarded") return;
    this.#settle({ ...asEntry(waiting), state: "failed", reason: message });
  }

  #settle(entry) {
    if (this.#dropped.has(entry.id)) return;
    this.#settled.set(entry.id, entry);
    this.#update();
  }

  #update() {
    const refused = [...this.#settled.values()].filter(({ state }) => state === "failed");
    sessionStorage.setItem(REFUSED, JSON.stringify(refused));
    this.#changed();
  }
}

/** @param {import('./readcast.d.ts').Waiting} waiting @returns {Entry} */
function asEntry({ op, id, mailbox, body, state, created }) {
  const place = op === "post" ? { mailbox: POSTS, posted: state } : { mailbox };
  return { id, body, created, state: "pending", ...place };
}
