/**
 * One user's chat: feeds the store from the connection, loads history, and offers what a user can
 * do. Knows nothing of the DOM.
 */

const PAGE = 50;

/** @param {string} a @param {string} b @returns {string} */
export function directMailbox(a, b) {
  return `direct:${[a, b].sort((x, y) => (x < y ? -1 : 1)).join("~")}`;
}

/** The other user of a direct mailbox. @param {string} mailbox @param {string} user */
export function peer(mailbox, user) {
  const [a, b] = mailbox.slice("direct:".length).split("~");
  return a === user ? b : a;
}

export class Chat {
  #client;
  #store;
  #outbox;
  #refreshing = false;
  /** Whether this connection has listed the conversations: before, their heads may be old ones. */
  #listed = false;
  #following = new Set();
  /** @type {string | null} the conversation on the screen */
  #current = null;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {import('./store.js').Store} parts.store
   * @param {import('./outbox.js').Outbox} parts.outbox
   */
  constructor({ client, store, outbox }) {
    this.#client = client;
    this.#store = store;
    this.#outbox = outbox;
    client.on("event", (event, request) => this.#take(event, request));
    client.on("state", ({ name }) => this.#turned(name));
    client.on("accepted", (entry, receipt) => entry.op === "send" && this.#accepted(entry, receipt));
    store.onChange(() => this.#mend());
  }

  /** Show a conversation: load it if need be, and follow it live. @param {string | null} mailbox */
  show(mailbox) {
    this.#current = mailbox;
    this.#mend();
  }

  /** @param {string} mailbox */
  async loadOlder(mailbox) {
    const { loaded, loading, more } = this.#store.get(mailbox);
    if (loaded && !loading && more && this.#client.connected) await this.#load(mailbox);
  }

  /** Everything loaded has been on the screen. @param {string} mailbox */
  read(mailbox) {
    const conversation = this.#store.get(mailbox);
    if (!conversation || conversation.high <= conversation.cursor) return;
    this.#store.seen(mailbox);
    this.#client.read(mailbox, conversation.high);
  }

  /** @param {string} mailbox @param {string} text */
  send(mailbox, text) {
    this.#outbox.add(mailbox, { text });
  }

  /** @param {string} mailbox @param {number} seq */
  recall(mailbox, seq) {
    return this.#client.request("recall", { mailbox, seq });
  }

  /** @param {string} user @returns {string} the mailbox */
  startDirect(user) {
    if (user === this.#store.user) throw new Error("That is you.");
    const mailbox = directMailbox(user, this.#store.user);
    this.#store.draft(mailbox);
    return mailbox;
  }

  /**
   * @param {string} mailbox
   * @param {{members: string[], open: boolean}} options open: anybody may join
   */
  async createGroup(mailbox, { members, open }) {
    await this.#client.request("create", { mailbox, policy: { join: open ? "open" : "invite" } });
    if (members.length) await this.add(mailbox, members);
  }

  /** @param {string} mailbox */
  join(mailbox) {
    return this.#client.request("join", { mailbox });
  }

  /** @param {string} mailbox @param {string[]} members */
  async add(mailbox, members) {
    await this.#client.request("join", { mailbox, members });
    this.#refresh();
  }

  /** @param {string} mailbox */
  leave(mailbox) {
    return this.#client.request("leave", { mailbox });
  }

  /**
   * @param {string} mailbox
   * @param {string} [after] the last user of the page before
   */
  members(mailbox, after) {
    const from = after ? { after } : {};
    return this.#client.request("members", { mailbox, limit: 100, ...from });
  }

  #take(event, request) {
    if (event.op === "sync") this.#listed = true;
    this.#store.apply(event, request);
    if (event.op === "message") this.#arrived(event);
    if (event.op === "history") event.messages.forEach(({ id }) => this.#outbox.drop(id));
  }

  #arrived({ id, mailbox }) {
    this.#outbox.drop(id);
    if (mailbox !== this.#current) this.#store.shrink(mailbox);
  }

  /** An accepted message stays among the outgoing ones until the open conversation shows it. */
  #accepted({ id, mailbox }, { seq }) {
    const conversation = this.#store.get(mailbox);
    const shown = conversation?.loaded && seq <= conversation.high;
    if (shown || mailbox !== this.#current) this.#outbox.drop(id);
    if (!conversation?.epoch) this.#refresh();
  }

  #turned(state) {
    this.#listed = this.#refreshing = false;
    if (state === "connected") this.#refresh();
  }

  async #refresh() {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#store.incomplete = false;
    await this.#client.insist("sync").catch(() => {});
    this.#refreshing = false;
    this.#store.changed();
  }

  /** Ask for whatever the state still lacks. */
  #mend() {
    if (!this.#listed) return;
    if (this.#store.incomplete) this.#refresh();
    const shown = this.#store.get(this.#current);
    if (!shown || shown.locked || shown.loading) return;
    if (shown.epoch && shown.mode !== "live") this.#follow(shown.mailbox);
    else if (!shown.loaded) this.#load(shown.mailbox);
  }

  async #load(mailbox) {
    const before = this.#store.beginLoading(mailbox);
    await this.#try(mailbox, "history", { before, limit: PAGE });
    this.#store.endLoading(mailbox);
  }

  /** What is on the screen is watched live. */
  async #follow(mailbox) {
    if (this.#following.has(mailbox)) return;
    this.#following.add(mailbox);
    await this.#try(mailbox, "watch", { mode: "live" });
    this.#following.delete(mailbox);
    this.#store.changed();
  }

  async #try(mailbox, op, fields) {
    await this.#client.insist(op, { mailbox, ...fields }).catch(() => this.#store.lock(mailbox));
  }
}
