/**
 * One user's chat: feeds the store from the connection, fills holes with history, and offers
 * what a user can do. Knows nothing of the DOM.
 */

const PAGE = 50;
const PULL = 200;
/** `read` is sent at most this often, however fast messages come. */
const READ_MS = 300;

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
  #pulling = new Set();
  #reading = new Set();
  #refreshing = false;
  /** @type {string | null} the conversation on the screen */
  #current = null;

  /**
   * @param {object} parts
   * @param {import('./client.js').Client} parts.client
   * @param {import('./store.js').Store} parts.store
   * @param {import('./outbox.js').Outbox} parts.outbox
   */
  constructor({ client, store, outbox }) {
    this.#client = client;
    this.#store = store;
    this.#outbox = outbox;
    client.on("event", (event, request) => this.#take(event, request));
    client.on("state", ({ name }) => name === "connected" && this.#connected());
    store.onChange(() => this.#mend());
  }

  /** Show a conversation: load it if need be, and follow it live. @param {string | null} mailbox */
  show(mailbox) {
    this.#current = mailbox;
    this.#mend();
  }

  /** @param {string} mailbox */
  async loadOlder(mailbox) {
    const { loading, locked, more, messages } = this.#store.get(mailbox);
    if (loading || locked || !more || !this.#client.connected) return;
    await this.#load(mailbox, messages[0].seq);
  }

  /** Everything loaded has been on the screen. @param {string} mailbox */
  async read(mailbox) {
    const conversation = this.#store.get(mailbox);
    if (!conversation || conversation.high <= conversation.cursor) return;
    if (!this.#client.connected || this.#reading.has(mailbox)) return;
    this.#reading.add(mailbox);
    this.#store.seen(mailbox);
    this.#client.request("read", { mailbox, seq: conversation.high }).catch(() => {});
    await pause(READ_MS);
    this.#reading.delete(mailbox);
    this.#store.changed();
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
    this.#store.apply(event, request);
    if (event.op === "message") this.#outbox.drop(event.id);
    if (event.op === "sent") this.#sent(event);
    if (event.op === "history") event.messages.forEach(({ id }) => this.#outbox.drop(id));
    if (event.op === "sync") this.#outbox.flush();
  }

  /** An accepted message stays among the outgoing ones until the mailbox shows it. */
  #sent({ mailbox, id, seq }) {
    const conversation = this.#store.get(mailbox);
    if (!conversation?.loaded || seq <= conversation.high) this.#outbox.drop(id);
    if (!conversation?.epoch) this.#refresh();
  }

  #connected() {
    this.#pulling.clear();
    this.#refreshing = false;
    this.#refresh();
  }

  async #refresh() {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#store.incomplete = false;
    await this.#client.request("sync").catch(() => {});
    this.#refreshing = false;
    this.#store.changed();
  }

  /** Ask for whatever the state still lacks. */
  #mend() {
    if (!this.#client.connected || !this.#store.synced) return;
    if (this.#store.incomplete) this.#refresh();
    for (const { mailbox, torn } of this.#store.list()) {
      if (torn) this.#pull(mailbox);
    }
    const shown = this.#store.get(this.#current);
    if (!shown || shown.locked) return;
    if (!shown.loaded && !shown.loading) this.#load(shown.mailbox, shown.head + 1);
    if (shown.epoch && shown.mode !== "live") this.#follow(shown);
  }

  async #load(mailbox, before) {
    this.#store.beginLoading(mailbox);
    await this.#history({ mailbox, before, limit: PAGE });
    this.#store.endLoading(mailbox);
  }

  /** Fill the hole after `high`. */
  async #pull(mailbox) {
    if (this.#pulling.has(mailbox)) return;
    this.#pulling.add(mailbox);
    const { high } = this.#store.get(mailbox);
    await this.#history({ mailbox, after: high, limit: PULL });
    this.#pulling.delete(mailbox);
    this.#store.changed();
  }

  #follow(conversation) {
    conversation.mode = "live";
    this.#client
      .request("watch", { mailbox: conversation.mailbox, mode: "live" })
      .then(({ head }) => this.#store.apply({ op: "head", mailbox: conversation.mailbox, head }))
      .catch(() => {});
  }

  async #history(fields) {
    await this.#client.insist("history", fields).catch(() => this.#store.lock(fields.mailbox));
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
