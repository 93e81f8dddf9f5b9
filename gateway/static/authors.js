/** Those whose posts a user may follow. Knows nothing of the DOM. */

/**
 * @typedef {object} Facts what is known of an author
 * @property {string} author
 * @property {number} followers
 * @property {number} following how many authors they follow
 * @property {number} posts
 * @property {boolean} follows whether the user follows them
 * @property {boolean} [blocked] whether the user has blocked them, as far as this page knows
 * @property {string} [refused] why nothing is told of them
 */

export class Authors {
  #client;
  #user;
  #changed;
  #followed;
  /** @type {Map<string, Facts>} */
  #known = new Map();
  #blocked = new Set();

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {string} parts.user
   * @param {() => void} parts.changed
   * @param {() => void} parts.followed the user follows somebody more, or less
   */
  constructor({ client, user, changed, followed }) {
    this.#client = client;
    this.#user = user;
    this.#changed = changed;
    this.#followed = followed;
    client.on("event", (event, request) => event.op === "done" && this.#done(event, request));
  }

  /** @param {string} author @returns {Facts | undefined} */
  get(author) {
    const facts = this.#known.get(author);
    return facts && { ...facts, blocked: this.#blocked.has(author) };
  }

  /** Ask anew. @param {string} author */
  async load(author) {
    try {
      const facts = await this.#client.insist("author", { author });
      if (facts) this.#known.set(author, facts);
    } catch (error) {
      this.#known.set(author, { author, refused: error.message });
    }
    this.#changed();
  }

  /** @param {string} author */
  follow(author) {
    return this.#client.request("follow", { author });
  }

  /** @param {string} author */
  unfollow(author) {
    return this.#client.request("unfollow", { author });
  }

  /** Keep somebody from following the user, and from reading their posts. @param {string} reader */
  block(reader) {
    return this.#client.request("block", { members: [reader] });
  }

  /** @param {string} reader */
  unblock(reader) {
    return this.#client.request("unblock", { members: [reader] });
  }

  #done({ of, author, followers }, { members = [] }) {
    if (of === "follow" || of === "unfollow") {
      const facts = this.#known.get(author);
      if (facts) this.#known.set(author, { ...facts, followers, follows: of === "follow" });
      if (this.#known.has(this.#user)) this.load(this.#user);
      this.#followed();
    } else if (of === "block") members.forEach((reader) => this.#blocked.add(reader));
    else if (of === "unblock") members.forEach((reader) => this.#blocked.delete(reader));
    else return;
    this.#changed();
  }
}
