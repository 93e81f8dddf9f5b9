/**
 * What a user sees of their conversations, as the client's events shape it. Pure state: no
 * network, no DOM, no clock.
 *
 * A loaded conversation holds one unbroken run of messages that ends at `high`: the client brings
 * each new one in order and once, and history goes before the first.
 */

import { isPublic } from "./notices.js";

/** @typedef {import('./readcast.d.ts').WireEvent} WireEvent */

/**
 * @typedef {object} Message
 * @property {number} seq
 * @property {string} id
 * @property {string} from
 * @property {number} ts ms since 1970
 * @property {any} [body] missing once recalled
 * @property {boolean} [recalled]
 */

/** What stays loaded of a conversation of which nobody reads the beginning. */
const KEEP = 500;

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
  /** The page of history that is on its way ends before this seq. */
  before = 0;
  /** Whether there is history before the first of `messages`. */
  more = true;

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

  /** Whether no message of it may be missed from here on. */
  get complete() {
    return this.loaded || this.loading;
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

  /** A direct chat that begins with its first message. @param {string} mailbox */
  draft(mailbox) {
    const conversation = this.#ensure(mailbox);
    if (!conversation.epoch) {
      Object.assign(conversation, { loaded: true, more: false, fresh: true });
    }
    this.changed();
  }

  /**
   * History is on its way. The first page ends with the head: from there new messages follow.
   * @param {string} mailbox
   * @returns {number} the seq that the page has to end before
   */
  beginLoading(mailbox) {
    const conversation = this.#ensure(mailbox);
    conversation.loading = true;
    if (!conversation.loaded) Object.assign(conversation, { messages: [], high: conversation.head });
    conversation.before = conversation.messages[0]?.seq ?? conversation.high + 1;
    this.changed();
    return conversation.before;
  }

  endLoading(mailbox) {
    const conversation = this.get(mailbox);
    if (conversation) conversation.loading = false;
    this.changed();
  }

  /** History was refused: asking again is useless until the next `sync`. */
  lock(mailbox) {
    const conversation = this.get(mailbox);
    if (conversation) Object.assign(conversation, { locked: true, loaded: false });
  }

  /** Count everything that is loaded as read, ahead of the gateway's word. */
  seen(mailbox) {
    const conversation = this.get(mailbox);
    conversation.cursor = Math.max(conversation.cursor, conversation.high);
    this.changed();
  }

  /** Keep only the newest messages. @param {string} mailbox */
  shrink(mailbox) {
    const conversation = this.get(mailbox);
    // A page that is on its way goes before what is the first message now.
    if (!conversation || conversation.loading || conversation.messages.length <= KEEP) return;
    conversation.messages = conversation.messages.slice(-KEEP);
    conversation.more = true;
    this.changed();
  }

  /**
   * @param {WireEvent} event of the client
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
    head: ({ mailbox, head, unread }) => {
      const conversation = this.#known(mailbox);
      raise(conversation, head);
      conversation.cursor = conversation.head - unread;
    },
    gap: ({ mailbox, to }) => {
      raise(this.#known(mailbox), to);
      this.#torn(mailbox);
    },
    watching: (event) => this.#watching(this.#known(event.mailbox), event),
    reset: (event) => this.#renew(this.#known(event.mailbox), event),
    recalled: ({ mailbox, seq }) => recall(this.#known(mailbox), seq),
    cursor: ({ mailbox, read, unread }) => moveCursor(this.#known(mailbox), read, unread),
    error: ({ mailbox, retriable }, request) => {
      if (mailbox && !request && !retriable) this.#torn(mailbox);
    },
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
    if (born) conversation.loaded = false;
    conversation.epoch = epoch;
    raise(conversation, head);
  }

  /** What was said before the user came is not unread. */
  #admitted({ mailbox, epoch, head }) {
    const conversation = this.#ensure(mailbox);
    const { epoch: known } = conversation;
    this.#adopt(conversation, { epoch, head });
    if (known !== epoch) conversation.cursor = head;
    conversation.fresh = true;
    this.incomplete = true;
  }

  #message(conversation, message) {
    raise(conversation, message.seq);
    if (message.from === this.user) {
      conversation.cursor = Math.max(conversation.cursor, message.seq);
    }
    if (message.seq >= (conversation.last?.seq ?? 0)) conversation.last = message;
    if (message.seq <= conversation.high || !conversation.complete) return;
    conversation.messages.push(message);
    conversation.high = message.seq;
  }

  #history(conversation, { epoch, head, messages, more }, { before }) {
    if (conversation.epoch !== epoch) return this.#renew(conversation, { epoch, head });
    if (conversation.before !== before) return;
    const first = conversation.messages[0]?.seq ?? Infinity;
    conversation.messages.unshift(...messages.filter(({ seq }) => seq < first));
    conversation.more = more && messages.length > 0;
    conversation.loaded = true;
    const newest = conversation.messages.at(-1);
    if (newest && newest.seq >= (conversation.last?.seq ?? 0)) conversation.last = newest;
  }

  /** What was not watched live may have been missed. */
  #watching(conversation, { epoch, head, mode }) {
    if (conversation.mode !== "live") this.#renew(conversation, { epoch, head });
    conversation.mode = mode;
  }

  /** What is loaded may have a hole that the client could not fill. */
  #torn(mailbox) {
    const conversation = this.get(mailbox);
    if (conversation) this.#renew(conversation, conversation);
    this.incomplete = true;
  }

  /** What is loaded is to be loaded again. */
  #renew(conversation, { epoch, head }) {
    const { epoch: known, cursor, last } = conversation;
    reset(conversation);
    Object.assign(conversation, { epoch, head }, known === epoch && { cursor, last });
  }
}

function raise(conversation, head) {
  conversation.head = Math.max(conversation.head, head);
}

function reset(conversation) {
  const { mailbox, role, mode, memberCount } = conversation;
  Object.assign(conversation, new Conversation(mailbox), { role, mode, memberCount });
}

/** `unread` was counted at `head`; the gateway's head and ours may differ for a moment. */
function moveCursor(conversation, read, unread, head = conversation.head) {
  conversation.cursor = Math.max(read, head - unread);
}

function recall(conversation, seq) {
  const strip = ({ body: _, ...rest }) => ({ ...rest, recalled: true });
  const index = conversation.messages.findIndex((message) => message.seq === seq);
  if (index >= 0) conversation.messages[index] = strip(conversation.messages[index]);
  if (conversation.last?.seq === seq) conversation.last = strip(conversation.last);
}
