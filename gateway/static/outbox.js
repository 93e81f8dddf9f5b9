/**
 * Messages on their way out. Each keeps its UUID from the first attempt to the last, so that the
 * log takes it once however often it is sent. One message per mailbox is in flight at a time:
 * that keeps the order of typing through retries. Knows nothing of the DOM.
 */

/**
 * - `pending`: not accepted yet
 * - `sent`: accepted with `seq`, not yet seen in the mailbox
 * - `failed`: refused for `reason`
 * @typedef {object} Entry
 * @property {string} id a UUID
 * @property {string} mailbox
 * @property {any} body
 * @property {{state: string | null}} [post] it is a post of one's own, not a message to the mailbox
 * @property {number} created ms since 1970
 * @property {'pending' | 'sent' | 'failed'} state
 * @property {number} [seq]
 * @property {string} [reason]
 */

/** Where one's own posts wait. */
export const POSTS = "posts";

/** @param {number} attempt from 0 @returns {number} ms */
const backoff = (attempt) => Math.random() * Math.min(10_000, 500 * 2 ** attempt);

export class Outbox {
  #client;
  #save;
  #changed;
  /** @type {Entry[]} */
  #entries;
  /** @type {Set<string>} mailboxes that are being emptied */
  #draining = new Set();

  /**
   * @param {object} options
   * @param {import('./client.js').Client} options.client
   * @param {Entry[]} [options.entries] what an earlier page left behind
   * @param {(entries: Entry[]) => void} [options.save] keeps what is not accepted yet
   * @param {() => void} [options.changed]
   */
  constructor({ client, entries = [], save = () => {}, changed = () => {} }) {
    this.#client = client;
    this.#entries = entries;
    this.#save = save;
    this.#changed = changed;
  }

  /** @param {string} mailbox @returns {Entry[]} in the order of typing */
  of(mailbox) {
    return this.#entries.filter((entry) => entry.mailbox === mailbox);
  }

  /** @param {string} mailbox @param {any} body */
  add(mailbox, body) {
    this.#put({ mailbox, body });
  }

  /** @param {any} body @param {string | null} state what the post is now */
  post(body, state) {
    this.#put({ mailbox: POSTS, body, post: { state } });
  }

  /** Try a failed message again, under the same id. @param {string} id */
  retry(id) {
    const entry = this.#entries.find((one) => one.id === id);
    if (entry?.state !== "failed") return;
    entry.state = "pending";
    this.#update();
    this.#drain(entry.mailbox);
  }

  /** The message is in the mailbox, or nobody wants it any more. @param {string} id */
  drop(id) {
    const left = this.#entries.filter((entry) => entry.id !== id);
    if (left.length === this.#entries.length) return;
    this.#entries = left;
    this.#update();
  }

  /** Go on with everything that waits. */
  flush() {
    for (const mailbox of new Set(this.#entries.map((entry) => entry.mailbox))) {
      this.#drain(mailbox);
    }
  }

  #put(entry) {
    this.#entries.push({ id: crypto.randomUUID(), created: Date.now(), state: "pending", ...entry });
    this.#update();
    this.#drain(entry.mailbox);
  }

  async #drain(mailbox) {
    if (this.#draining.has(mailbox)) return;
    this.#draining.add(mailbox);
    for (let entry; this.#client.connected && (entry = this.#next(mailbox)); ) {
      await this.#send(entry);
    }
    this.#draining.delete(mailbox);
  }

  #next(mailbox) {
    return this.of(mailbox).find((entry) => entry.state === "pending");
  }

  async #send(entry) {
    for (let attempt = 0; entry.state === "pending" && this.#client.connected; attempt++) {
      try {
        const { seq } = await this.#client.request(...asRequest(entry));
        Object.assign(entry, { state: "sent", seq });
      } catch (error) {
        if (error.code === "disconnected") return;
        if (error.retriable) await pause(error.retryAfter * 1000 + backoff(attempt));
        else Object.assign(entry, { state: "failed", reason: error.message });
      }
    }
    this.#update();
  }

  #update() {
    this.#save(this.#entries.filter((entry) => entry.state !== "sent"));
    this.#changed();
  }
}

function asRequest({ id, mailbox, body, post }) {
  return post ? ["post", { id, body, ...post }] : ["send", { mailbox, id, body }];
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
