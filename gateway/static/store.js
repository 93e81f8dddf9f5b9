/**
 * What a user sees of their conversations, as the events of the wire shape it. Pure state: no
 * network, no DOM, no clock.
 *
 * A loaded conversation holds one unbroken run of messages that ends at `high`. What arrives
 * beyond a hole waits in `ahead` until the hole is filled, so nothing ever overtakes.
 */

import { isPublic } from "./notices.js";

/** @typedef {import('./client.js').WireEvent} WireEvent */

/**
 * @typedef {object} Message
 * @property {number} seq
 * @property {string} id
 * @property {string} from
 * @property {number} ts ms since 1970
 * @property {any} [body] missing once recalled
 * @property {boolean} [recalled]
 */

export class Conversation {
  epoch = "";
  head = 0;
  /** Messages up to this seq do not count as unread. */
  cursor = 0;
  memberCount = 0;
  role = "member";
  mode = "live";
  closed = false;
  /** Whether it came up while this page watched. */
  fresh = false;
  /** @type {Message | null} */
  last = null;

  loaded = false;
  loading = false;
  /** Whether the gateway refuses its history. */
  locked = false;
  /** @type {Message[]} in seq order */
  messages = [];
  high = 0;
  /** Whether there is history before the first of `messages`. */
  more = true;
  /** @type {Map<number, Message>} */
  ahead = new Map();
  /** The gateway announced messages up to here without delivering them. */
  announced = 0;

  /** @param {string} mailbox */
  constructor(mailbox) {
    this.mailbox = mailbox;
  }

  get unread() {
    return Math.max(0, this.head - this.cursor);
  }

  /** When its newest message was sent, or beyond all if it came up without one. */
  get time() {
    return this.last?.ts ?? (this.fresh ? Infinity : 0);
  }

  /** Whether there is a hole that only `history` fills. */
  get torn() {
    return this.loaded && !this.locked && (this.ahead.size > 0 || this.announced > this.high);
  }
}

export class Store {
  /** @type {Map<string, Conversation>} */
  #conversations = new Map();
  #listeners = new Set();
  #notifying = false;
  /** Whether the list has been received from a gateway. */
  synced = false;
  /** Whether a mailbox turned up that only `sync` describes. */
  incomplete = false;

  /** @param {string} user */
  constructor(user) {
    this.user = user;
  }

  /** @param {() => void} listener called once after each batch of changes */
  onChange(listener) {
    this.#listeners.add(listener);
  }

  /** @param {string} mailbox @returns {Conversation | undefined} */
  get(mailbox) {
    return this.#conversations.get(mailbox);
  }

  /** @returns {Conversation[]} the one with the newest message first */
  list() {
    return [...this.#conversations.values()].sort((a, b) => b.time - a.time || 0);
  }

  get unread() {
    return this.list().reduce((sum, { unread }) => sum + unread, 0);
  }

  /** The positions to resume from. @returns {Object<string, [string, number]>} */
  since() {
    const loaded = this.list().filter(({ loaded, epoch }) => loaded && epoch);
    return Object.fromEntries(loaded.map(({ mailbox, epoch, high }) => [mailbox, [epoch, high]]));
  }

  /** A direct chat that begins with its first message. @param {string} mailbox */
  draft(mailbox) {
    const conversation = this.#ensure(mailbox);
    if (!conversation.epoch) {
      Object.assign(conversation, { loaded: true, more: false, fresh: true });
    }
    this.changed();
  }

  /** The initial history is on its way: what arrives meanwhile has to wait for it. */
  beginLoading(mailbox) {
    const conversation = this.#ensure(mailbox);
    conversation.loading = true;
    this.changed();
  }

  endLoading(mailbox) {
    const conversation = this.get(mailbox);
    if (conversation) conversation.loading = false;
    this.changed();
  }

  /** History was refused: asking again is useless until the next `sync`. */
  lock(mailbox) {
    const conversation = this.get(mailbox);
    if (conversation) conversation.locked = true;
  }

  /** Count everything that is loaded as read, ahead of the gateway's word. */
  seen(mailbox) {
    const conversation = this.get(mailbox);
    conversation.cursor = Math.max(conversation.cursor, conversation.high);
    this.changed();
  }

  /** Keep only the newest messages. @param {string} mailbox @param {number} count */
  shrink(mailbox, count) {
    const conversation = this.get(mailbox);
    if (!conversation || conversation.messages.length <= count) return;
    conversation.messages = conversation.messages.slice(-count);
    conversation.more = true;
    this.changed();
  }

  /**
   * @param {WireEvent} event
   * @param {WireEvent} [request] the request that the event answers
   */
  apply(event, request) {
    const handler = this.#handlers[event.op];
    if (!handler) return;
    handler(event, request);
    this.changed();
  }

  changed() {
    if (this.#notifying) return;
    this.#notifying = true;
    queueMicrotask(() => {
      this.#notifying = false;
      for (const listener of this.#listeners) listener();
    });
  }

  #handlers = {
    sync: (event) => this.#sync(event.mailboxes),
    message: (event) => this.#message(this.#known(event.mailbox), event),
    history: (event, request) => this.#history(this.#known(event.mailbox), event, request),
    head: ({ mailbox, head, unread }) => this.#announce(this.#known(mailbox), head, unread),
    gap: ({ mailbox, to }) => {
      this.#announce(this.#known(mailbox), to);
      this.incomplete ||= !this.get(mailbox).loaded;
    },
    recalled: ({ mailbox, seq }) => recall(this.#known(mailbox), seq),
    cursor: ({ mailbox, read, unread }) => moveCursor(this.#known(mailbox), read, unread),
    resumed: (event) => this.#resumed(this.#known(event.mailbox), event),
    error: ({ mailbox }, request) => mailbox && !request && this.#unresumed(mailbox),
    created: (event) => this.#admitted(event),
    joined: (event) => event.members?.includes(this.user) && this.#admitted(event),
    left: (event) =>
      event.members?.includes(this.user) && this.#conversations.delete(event.mailbox),
  };

  #ensure(mailbox) {
    let conversation = this.#conversations.get(mailbox);
    if (!conversation) {
      conversation = new Conversation(mailbox);
      this.#conversations.set(mailbox, conversation);
    }
    return conversation;
  }

  #known(mailbox) {
    if (!this.#conversations.get(mailbox)?.epoch) this.incomplete = true;
    return this.#ensure(mailbox);
  }

  /** Public mailboxes are no conversations; `Notices` takes those. */
  #sync(all) {
    const entries = all.filter(({ mailbox }) => !isPublic(mailbox));
    const listed = new Set(entries.map(({ mailbox }) => mailbox));
    for (const { mailbox, epoch } of this.list()) {
      if (epoch && !listed.has(mailbox)) this.#conversations.delete(mailbox);
    }
    for (const entry of entries) {
      const conversation = this.#ensure(entry.mailbox);
      this.#adopt(conversation, entry);
      const { members, role, mode, closed, last } = entry;
      Object.assign(conversation, { memberCount: members, role, mode, closed, locked: false });
      moveCursor(conversation, entry.read, entry.unread, entry.head);
      if (last && last.seq >= (conversation.last?.seq ?? 0)) conversation.last = last;
      if (last?.recalled) recall(conversation, last.seq);
    }
    this.synced = true;
    this.incomplete = false;
  }

  /** Take over an epoch and head; another epoch means another mailbox under the same name. */
  #adopt(conversation, { epoch, head }) {
    if (conversation.epoch && conversation.epoch !== epoch) reset(conversation);
    const born = !conversation.epoch && conversation.loaded;
    conversation.epoch = epoch;
    conversation.head = Math.max(conversation.head, head);
    if (born) conversation.announced = conversation.head;
  }

  #admitted({ mailbox, epoch, head }) {
    const conversation = this.#ensure(mailbox);
    this.#adopt(conversation, { epoch, head });
    conversation.fresh = true;
    this.incomplete = true;
  }

  #message(conversation, message) {
    conversation.head = Math.max(conversation.head, message.seq);
    if (message.from === this.user) {
      conversation.cursor = Math.max(conversation.cursor, message.seq);
    }
    if (message.seq >= (conversation.last?.seq ?? 0)) conversation.last = message;
    if (message.seq <= conversation.high || !(conversation.loaded || conversation.loading)) return;
    conversation.ahead.set(message.seq, message);
    if (conversation.loaded) drain(conversation);
  }

  #history(conversation, { epoch, head, messages, more, recalled = [] }, { before, after }) {
    const anew = conversation.epoch && conversation.epoch !== epoch;
    this.#adopt(conversation, { epoch, head });
    if (anew) return;
    if (after !== undefined) extend(conversation, messages, more ? 0 : head);
    else prepend(conversation, messages, more, before - 1);
    for (const seq of recalled) recall(conversation, seq);
  }

  #announce(conversation, head, unread) {
    conversation.head = Math.max(conversation.head, head);
    conversation.announced = Math.max(conversation.announced, head);
    if (unread !== undefined) conversation.cursor = conversation.head - unread;
  }

  /** A resume was refused: what is loaded may have a hole, so it is loaded again. */
  #unresumed(mailbox) {
    const conversation = this.get(mailbox);
    if (!conversation) return;
    const { epoch, head } = conversation;
    reset(conversation);
    Object.assign(conversation, { epoch, head });
    this.incomplete = true;
  }

  #resumed(conversation, { epoch, head, recovered }) {
    if (!recovered) {
      reset(conversation);
      Object.assign(conversation, { epoch, head });
    }
  }
}

function reset(conversation) {
  const { mailbox, role, mode, memberCount } = conversation;
  Object.assign(conversation, new Conversation(mailbox), { role, mode, memberCount });
}

/** Append what follows `high` without a hole. */
function drain(conversation) {
  const { ahead, messages } = conversation;
  for (let next; (next = ahead.get(conversation.high + 1)); conversation.high++) {
    ahead.delete(next.seq);
    messages.push(next);
  }
}

/** History is authoritative: seqs it leaves out below its end are gone. */
function extend(conversation, messages, upTo) {
  for (const message of messages) {
    if (message.seq > conversation.high) conversation.messages.push(message);
  }
  skipTo(conversation, Math.max(messages.at(-1)?.seq ?? 0, upTo));
}

function prepend(conversation, messages, more, upTo) {
  const first = conversation.messages[0]?.seq ?? Infinity;
  conversation.messages.unshift(...messages.filter(({ seq }) => seq < first));
  conversation.more = more && messages.length > 0;
  if (conversation.loaded) return;
  conversation.loaded = true;
  skipTo(conversation, Math.max(messages.at(-1)?.seq ?? 0, upTo));
}

function skipTo(conversation, seq) {
  conversation.high = Math.max(conversation.high, seq);
  for (const early of [...conversation.ahead.keys()]) {
    if (early <= conversation.high) conversation.ahead.delete(early);
  }
  drain(conversation);
  const newest = conversation.messages.at(-1);
  if (newest && newest.seq >= (conversation.last?.seq ?? 0)) conversation.last = newest;
}

/** `unread` was counted at `head`; the gateway's head and ours may differ for a moment. */
function moveCursor(conversation, read, unread, head = conversation.head) {
  conversation.cursor = Math.max(read, head - unread);
}

function recall(conversation, seq) {
  const strip = ({ body: _, ...rest }) => ({ ...rest, recalled: true });
  const index = conversation.messages.findIndex((message) => message.seq === seq);
  if (index >= 0) conversation.messages[index] = strip(conversation.messages[index]);
  const waiting = conversation.ahead.get(seq);
  if (waiting) conversation.ahead.set(seq, strip(waiting));
  if (conversation.last?.seq === seq) conversation.last = strip(conversation.last);
}
