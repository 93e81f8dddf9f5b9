/**
 * What a user sees of the public mailboxes: notices to be shown once, and the list in which they
 * are found again. Knows nothing of the DOM.
 */

/** @typedef {import('./readcast.d.ts').WireEvent} WireEvent */

/**
 * @typedef {object} Notice
 * @property {string} mailbox
 * @property {number} publish the number of the publish in its mailbox
 * @property {number} entry the entry that made it reach this user
 * @property {string} title
 * @property {{text: string, link?: string}} body
 * @property {number} ts ms since 1970
 * @property {number} expires ms since 1970, 0 = never
 * @property {'low' | 'normal' | 'urgent'} priority
 * @property {boolean} [opened]
 */

const PAGE = 20;
/** Asking anew is spread over this time, for a withdrawal concerns many users at once. */
const RECOUNT_MS = 5_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @param {string} mailbox */
export const isPublic = (mailbox) => mailbox.startsWith("public:");

/** @param {{mailbox: string, publish: number}} notice */
export const keyOf = ({ mailbox, publish }) => `${mailbox}/${publish}`;

export class Notices {
  #client;
  #shown;
  #looking;
  #room;
  #changed;
  /**
   * `read`: the entry up to which `sync` has counted.
   * @type {Map<string, {unread: number, read: number, last: {title: string, ts: number, publish: number} | null}>}
   */
  #boxes = new Map();
  /** @type {Map<string, Notice>} */
  #known = new Map();
  /** @type {Notice[]} */
  #waiting = [];
  /** Opened here, without the gateway's word for it yet. @type {Map<string, Notice>} */
  #opening = new Map();
  #loadedFrom = Infinity;
  #stale = false;
  /** Whether somebody has asked for the list, with or without a connection. */
  #wanted = false;
  #expiryTimer;
  #recountTimer;
  /** @type {Notice[]} on the screen */
  cards = [];
  loading = false;
  /** Whether there are earlier ones than those in `list`. */
  more = true;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {import('./shown.js').Shown} parts.shown
   * @param {() => boolean} parts.looking whether somebody can see the page
   * @param {() => number} parts.room how many cards fit on the screen at a time
   * @param {() => void} parts.changed
   */
  constructor({ client, shown, looking, room, changed }) {
    this.#client = client;
    this.#shown = shown;
    this.#looking = looking;
    this.#room = room;
    this.#changed = changed;
    client.on("event", (event, request) => this.#handlers[event.op]?.(event, request));
    client.on("state", ({ name }) => name !== "connected" && (this.#stale = true));
  }

  /** Whether there is anything to be found. */
  get any() {
    return this.#boxes.size > 0 || this.#known.size > 0;
  }

  get unread() {
    return [...this.#boxes.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  /** The newest one. @returns {{title: string, ts: number} | undefined} */
  get last() {
    const lasts = [...this.#boxes.values()].map(({ last }) => last).filter(Boolean);
    return lasts.sort(newestFirst)[0];
  }

  /** How many wait until there is room for a card. */
  get waiting() {
    return this.#waiting.length;
  }

  /** What is loaded, newest first. @returns {Notice[]} */
  get list() {
    return [...this.#known.values()].filter(({ ts }) => ts >= this.#loadedFrom).sort(newestFirst);
  }

  get loaded() {
    return this.#loadedFrom < Infinity;
  }

  /** Load the list, or more of it; without a connection, the list when that is back. */
  async load() {
    this.#wanted = true;
    if (this.loading || !this.more || !this.#client.connected) return;
    this.loading = true;
    this.#changed();
    const before = this.loaded ? this.#loadedFrom : null;
    await this.#client.request("notices", { mailbox: null, before, limit: PAGE }).catch(() => {});
    this.loading = false;
    this.#changed();
  }

  /** Somebody reads it. @param {Notice} notice */
  open(notice) {
    this.dismiss(notice);
    if (notice.opened) return;
    notice.opened = true;
    this.#count(notice.mailbox, -1);
    this.#opening.set(keyOf(notice), notice);
    this.#tellOpened(notice);
    this.#changed();
  }

  /** @param {Notice} notice */
  dismiss(notice) {
    this.cards = without(this.cards, keyOf(notice));
    this.look();
  }

  /** Show what waits, if there is room and somebody to see it. */
  look() {
    while (this.#looking() && this.cards.length < this.#room() && this.#waiting.length) {
      const next = this.#waiting.shift();
      if (this.#shown.has(keyOf(next))) continue;
      this.#shown.add(keyOf(next));
      this.cards.push(next);
    }
    this.#changed();
  }

  #handlers = {
    sync: ({ mailboxes }) => this.#sync(mailboxes),
    notice: (event) => this.#take(event),
    notices: (event, { before }) => this.#page(event, before),
    withdrawn: (event) => this.#withdrawn(event),
    opened: (event) => this.#opened(event),
  };

  #sync(entries) {
    const told = (mailbox) =>
      [...this.#opening.values()].filter((notice) => notice.mailbox === mailbox).length;
    const box = ({ mailbox, unread, last, read }) => [
      mailbox,
      { unread: Math.max(0, unread - told(mailbox)), last, read },
    ];
    this.#boxes = new Map(entries.filter(({ mailbox }) => isPublic(mailbox)).map(box));
    for (const notice of this.#opening.values()) this.#tellOpened(notice);
    if (this.#stale) this.#reload();
    this.#stale = false;
    this.#changed();
  }

  /** Notices may have been withdrawn during an absence. */
  #reload() {
    const shown = this.#wanted || this.cards.length || this.#waiting.length;
    this.#loadedFrom = Infinity;
    this.more = true;
    if (shown) this.load();
  }

  #take({ op: _, again, ...notice }) {
    const key = keyOf(notice);
    if (isOver(notice)) return;
    const box = this.#box(notice.mailbox);
    // One that is repeated from before `sync` has been counted there.
    const counted = again && notice.entry <= box.read;
    if (!this.#known.has(key) && !counted) box.unread += 1;
    if (!box.last || box.last.ts <= notice.ts) box.last = notice;
    this.#know(notice);
    if (!this.#shown.has(key)) this.#queue(this.#known.get(key));
    this.look();
  }

  #queue(notice) {
    this.#waiting = [...without(this.#waiting, keyOf(notice)), notice];
    this.#waiting.sort((a, b) => (b.priority === "urgent") - (a.priority === "urgent"));
  }

  #page({ notices, more }, before) {
    const oldest = notices.at(-1)?.ts ?? 0;
    this.#loadedFrom = more ? oldest : 0;
    this.more = more;
    // The answer is all there is in its range.
    const there = new Set(notices.map(keyOf));
    const within = ({ ts }) => ts >= this.#loadedFrom && (before === null || ts < before);
    for (const notice of [...this.#known.values()].filter(within)) {
      if (!there.has(keyOf(notice))) this.#remove(notice);
    }
    notices.filter((notice) => !isOver(notice)).forEach((notice) => this.#know(notice));
    if (!more) this.#check();
    this.#changed();
  }

  /** Of what expires before it is loaded this page hears nothing, so it counts it until it is all loaded. */
  #check() {
    const unopened = [...this.#known.values()].filter(({ opened }) => !opened);
    if (unopened.length !== this.unread) this.#recount();
  }

  #know(notice) {
    const key = keyOf(notice);
    const known = this.#known.get(key) ?? {};
    const opened = known.opened || notice.opened;
    this.#known.set(key, Object.assign(known, notice, { opened }));
    this.#watchTime();
  }

  /** On this page, or on another device of the user. */
  #opened({ mailbox, publish }) {
    const key = keyOf({ mailbox, publish });
    const notice = this.#known.get(key);
    if (this.#opening.delete(key) || notice?.opened) return;
    if (!notice) {
      if (this.#boxes.has(mailbox)) this.#recount();
      return;
    }
    notice.opened = true;
    this.#count(mailbox, -1);
    this.#waiting = without(this.#waiting, key);
    this.dismiss(notice);
  }

  #withdrawn({ mailbox, publish }) {
    const notice = this.#known.get(keyOf({ mailbox, publish }));
    if (notice) this.#drop(notice);
    else if (this.#boxes.has(mailbox)) this.#recount();
  }

  /** It is gone, and counts no more. */
  #drop(notice) {
    this.#remove(notice);
    if (!notice.opened) this.#count(notice.mailbox, -1);
    this.#newest(notice);
    this.look();
  }

  #remove(notice) {
    const key = keyOf(notice);
    this.#known.delete(key);
    this.#opening.delete(key);
    this.cards = without(this.cards, key);
    this.#waiting = without(this.#waiting, key);
  }

  /** Find what is the newest after one has gone; ask where this page does not know. */
  #newest({ mailbox, publish }) {
    const box = this.#box(mailbox);
    if (box.last?.publish !== publish) return;
    const left = [...this.#known.values()].filter((notice) => notice.mailbox === mailbox);
    box.last = left.sort(newestFirst)[0] ?? null;
    if (!box.last) this.#boxes.delete(mailbox);
    if (!box.last || this.more) this.#recount();
  }

  #recount() {
    clearTimeout(this.#recountTimer);
    this.#recountTimer = setTimeout(
      () => this.#client.insist("sync").catch(() => {}),
      Math.random() * RECOUNT_MS,
    );
  }

  #box(mailbox) {
    if (!this.#boxes.has(mailbox)) this.#boxes.set(mailbox, { unread: 0, last: null, read: 0 });
    return this.#boxes.get(mailbox);
  }

  #count(mailbox, change) {
    const box = this.#box(mailbox);
    box.unread = Math.max(0, box.unread + change);
  }

  /** What fails is told again after the next `sync`. */
  #tellOpened({ mailbox, publish }) {
    this.#client.request("open", { mailbox, publish }).catch(({ retriable }) => {
      if (!retriable) this.#opening.delete(keyOf({ mailbox, publish }));
    });
  }

  /** Wake up when the next one expires. */
  #watchTime() {
    clearTimeout(this.#expiryTimer);
    const ends = [...this.#known.values()].map(({ expires }) => expires).filter(Boolean);
    if (!ends.length) return;
    const wait = Math.max(0, Math.min(...ends) - Date.now());
    this.#expiryTimer = setTimeout(() => this.#expire(), Math.min(wait, MAX_TIMER_MS));
  }

  #expire() {
    for (const notice of [...this.#known.values()].filter(isOver)) this.#drop(notice);
    this.#watchTime();
  }
}

const newestFirst = (a, b) => b.ts - a.ts || b.publish - a.publish;

const isOver = ({ expires }) => expires > 0 && expires <= Date.now();

const without = (notices, key) => notices.filter((notice) => keyOf(notice) !== key);
