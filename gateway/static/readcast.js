/**
 * Readcast in a browser: one user's connection to a gateway.
 *
 * It reconnects with full jitter, resumes where it stopped, delivers the messages of each mailbox
 * in order and once, and keeps what is to be sent in IndexedDB until a gateway has taken it.
 * docs/browser-client.md is its manual, docs/protocol.md (section 9) the wire, readcast.d.ts the
 * types. It touches neither the DOM nor any other module.
 */

/** Close codes from here on mean that connecting again would not help. */
const FINAL_CLOSE = 4500;
const BAD_TOKEN = 4501;
const EXPIRED = 4502;
/** What a browser calls a connection that broke. */
const BROKEN = 1006;
/** A connection that lasted this long was a good one: the backoff starts anew. */
const STABLE_MS = 10_000;
/** How long a silent gateway may take to open a connection or to answer a ping. */
const PATIENCE_MS = 10_000;
/** A request that failed for a passing reason is repeated with this backoff. */
const REPEAT = { base: 500, cap: 10_000 };
/** Messages asked for at a time where some were missed. */
const PULL = 200;
/** Mailboxes resumed by one frame: far below what a frame may have in bytes. */
const RESUME = 500;
/** `read` and `ack` of a mailbox are sent at most this often, however fast messages come. */
const READ_MS = 300;
const ACK_MS = 1_000;
/** A token is renewed this long before its end, a short one in its last quarter. */
const RENEW_MS = 60_000;
/** The slowest upload that is waited for, in bytes per ms; the gateway waits as long for a frame. */
const UPLOAD = 16;
/** Bytes of a chunk besides its data, and those that a UTF-16 unit of JSON text may take in JSON. */
const CHUNK_OVERHEAD = 256;
const UNIT_BYTES = 3;
/** How long to wait with a token that ends in the past by this machine's clock. */
const SKEWED_MS = 30_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Where one's own posts wait; messages wait under their mailbox. */
const POSTS = "posts";

/** @typedef {import('./readcast.d.ts').WireEvent} WireEvent */
/** @typedef {import('./readcast.d.ts').State} State */
/** @typedef {import('./readcast.d.ts').Options} Options */
/** @typedef {import('./readcast.d.ts').Waiting} Waiting */

/** A request that was refused, or that got no answer. */
export class RequestError extends Error {
  /**
   * @param {string} code a code of docs/protocol.md, or one of docs/browser-client.md
   * @param {string} message
   * @param {{retriable?: boolean, retryAfter?: number}} [advice] retryAfter in seconds
   */
  constructor(code, message, { retriable = false, retryAfter = 0 } = {}) {
    super(message);
    this.name = "RequestError";
    this.code = code;
    this.retriable = retriable;
    this.retryAfter = retryAfter;
  }
}

/**
 * How long to wait before an attempt: evenly spread from nothing to a bound that doubles each
 * time, so that clients that were cut off together do not come back together.
 * @param {number} attempt from 0
 * @param {{base: number, cap: number}} backoff ms
 * @param {() => number} [random] from 0 up to 1
 * @returns {number} ms
 */
export function fullJitter(attempt, { base, cap }, random = Math.random) {
  return random() * Math.min(cap, base * 2 ** attempt);
}

/** One user's connection. It does nothing before `open()`. */
export class Client {
  #user;
  #token;
  #url;
  #ack;
  #backoff;
  #timeout;
  #inflow;
  #queue;
  #limits = { frame_bytes: Infinity, assembly_bytes: Infinity };
  /** @type {State} */
  #state = { name: "idle" };
  /** @type {WebSocket | null} */
  #socket = null;
  /** Stands for the present attempt to connect. @type {object | null} */
  #attempt = null;
  #attempts = 0;
  #welcomedAt = Infinity;
  #leaveAt = 0;
  #heartbeat = PATIENCE_MS;
  #timers = {};
  #host = new AbortController();
  /** @type {Map<number, {frame: WireEvent, quiet: boolean, settle: Function}>} */
  #requests = new Map();
  #nextRef = 1;
  /** How far the gateway is still to be told that the user has read. @type {Map<string, number>} */
  #reads = new Map();
  #reading = new Set();
  #unacknowledged = new Set();
  /** Frames of which chunks are missing, by the id of these. @type {Map<number, string[]>} */
  #unfinished = new Map();
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();

  /** @param {Options} options */
  constructor({
    user,
    token,
    url = gatewayUrl(),
    complete = () => true,
    ack = false,
    backoff = { base: 1_000, cap: 30_000 },
    timeout = 15_000,
    queueLimit = 1_000,
  }) {
    this.#user = user;
    this.#token = token;
    this.#url = url;
    this.#ack = ack;
    this.#backoff = backoff;
    this.#timeout = timeout;
    this.#inflow = new Inflow({
      user,
      complete,
      deliver: (event, request) => this.#deliver(event, request),
      pull: (mailbox, after) => this.#pull(mailbox, after),
      watch: (mailbox) => this.#watch(mailbox),
    });
    this.#queue = new Queue({
      user,
      limit: queueLimit,
      ready: () => this.connected,
      submit: (op, fields) => this.insist(op, fields),
      emit: (kind, ...payload) => this.#emit(kind, ...payload),
    });
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  get connected() {
    return this.#state.name === "connected";
  }

  /**
   * @param {string} kind `state`, `queue`, `accepted`, `refused`, the `op` of an event, or `event`
   *   for every event
   * @param {(payload: any, more?: any) => void} listener runs before a request's promise settles
   * @returns {() => void} removes the listener
   */
  on(kind, listener) {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Connect, and stay connected until `close()`. */
  open() {
    if (this.#state.name !== "idle" && this.#state.name !== "closed") return;
    this.#followHost();
    this.#queue.show();
    this.#connect();
  }

  /** Disconnect. What waits to be sent stays for the next time. */
  close() {
    this.#host.abort();
    this.#forget();
    this.#become({ name: "idle" });
  }

  /** Connect at once instead of waiting for the next attempt. */
  retryNow() {
    if (this.#state.name === "waiting") this.#connect();
  }

  /**
   * @param {string} op
   * @param {Object<string, any>} [fields]
   * @returns {Promise<any>} the answer, a WireEvent; rejects with a RequestError
   */
  request(op, fields = {}) {
    return this.#request({ op, ...fields });
  }

  /**
   * Like `request`, but repeats what failed for a passing reason as long as the connection lasts.
   * @param {string} op
   * @param {Object<string, any>} [fields]
   * @returns {Promise<any>} null if the connection is lost; rejects if refused
   */
  insist(op, fields = {}) {
    return this.#insist({ op, ...fields });
  }

  /**
   * Have a message sent, now or once there is a connection, even by a later page. Messages to one
   * mailbox are taken in the order of these calls.
   * @param {string} mailbox
   * @param {any} body JSON
   * @param {{id?: string}} [options] id: a UUID, to repeat what was refused
   * @returns {Promise<any>} the receipt `sent`; rejects with a RequestError if refused
   */
  send(mailbox, body, { id = crypto.randomUUID() } = {}) {
    return this.#queue.add(mailbox, "send", { mailbox, id, body });
  }

  /**
   * Have a post of one's own sent, as `send` does.
   * @param {any} body JSON
   * @param {{id?: string, state?: string | null}} [options] state: what the post is now
   * @returns {Promise<any>} the receipt `posted`
   */
  post(body, { id = crypto.randomUUID(), state = null } = {}) {
    return this.#queue.add(POSTS, "post", { id, body, state });
  }

  /**
   * Take back what waits to be sent; its promise rejects with `discarded`. What is on its way may
   * arrive nevertheless.
   * @param {string} id
   * @returns {Promise<void>}
   */
  discard(id) {
    return this.#queue.discard(id);
  }

  /**
   * Tell that the user has read up to `seq`: at once, or when the connection is back. What comes
   * fast is put together; what is refused is forgotten.
   * @param {string} mailbox
   * @param {number} seq
   */
  read(mailbox, seq) {
    this.#reads.set(mailbox, Math.max(seq, this.#reads.get(mailbox) ?? 0));
    this.#tellRead(mailbox);
  }

  // Connecting

  async #connect() {
    this.#forget();
    this.#leaveAt = 0;
    const attempt = (this.#attempt = {});
    this.#become({ name: "connecting" });
    this.#later("silence", PATIENCE_MS, () => this.#lose(BROKEN, "no welcome"));
    try {
      const token = await this.#getToken();
      if (attempt === this.#attempt) this.#dial(token);
    } catch (error) {
      if (attempt === this.#attempt) this.#lose(BROKEN, `no token: ${error.message}`);
    }
  }

  async #getToken() {
    return typeof this.#token === "function" ? this.#token() : this.#token;
  }

  #dial(token) {
    if (!token) return this.#end(BAD_TOKEN, "there is no token");
    const socket = new WebSocket(this.#url, "readcast.json");
    this.#socket = socket;
    socket.onopen = () => this.#hello(token);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
  }

  #hello(token) {
    const places = Object.entries(this.#inflow.resume());
    const since = (from) => Object.fromEntries(places.slice(from, from + RESUME));
    this.#write({ op: "hello", token, since: since(0), ack: this.#ack, chunks: true });
    for (let from = RESUME; from < places.length; from += RESUME) {
      this.#write({ op: "hello", since: since(from) });
    }
    this.#renewLater(token);
  }

  #welcome({ user, limits, heartbeat_ms: heartbeat }) {
    if (user !== this.#user) {
      return this.#end(BAD_TOKEN, `the token is of ${user}, not of ${this.#user}`);
    }
    this.#limits = limits;
    this.#heartbeat = heartbeat;
    if (this.connected) return;
    this.#welcomedAt = Date.now();
    this.#expectHeartbeat();
    this.#become({ name: "connected" });
    this.#queue.flush();
    for (const mailbox of this.#reads.keys()) this.#tellRead(mailbox);
  }

  /** The gateway leaves: stay until then, so that nobody waits without need. */
  #leaveIn(ms) {
    this.#leaveAt = Date.now() + ms;
    this.#later("leave", ms, () => this.#connect());
  }

  #lose(code, reason) {
    const [leaveAt, welcomedAt] = [this.#leaveAt, this.#welcomedAt];
    const renewable = code === EXPIRED && welcomedAt < Infinity && typeof this.#token === "function";
    if (code >= FINAL_CLOSE && !renewable) return this.#end(code, reason);
    this.#forget();
    if (Date.now() - welcomedAt > STABLE_MS) this.#attempts = 0;
    const retryAt = leaveAt || Date.now() + fullJitter(this.#attempts++, this.#backoff);
    this.#later("retry", retryAt - Date.now(), () => this.#connect());
    this.#become({ name: "waiting", retryAt });
  }

  #end(code, reason) {
    this.#host.abort();
    this.#forget();
    this.#become({ name: "closed", code, reason });
  }

  /** Drop the socket and whatever waits for it. */
  #forget() {
    this.#attempt = null;
    this.#welcomedAt = Infinity;
    Object.values(this.#timers).forEach(clearTimeout);
    this.#unacknowledged.clear();
    this.#unfinished.clear();
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close(1000);
      this.#socket = null;
    }
    for (const { settle } of [...this.#requests.values()]) settle(undefined, disconnected());
  }

  /** Follow what the browser says of the network, and look after the machine has slept. */
  #followHost() {
    this.#host = new AbortController();
    const { signal } = this.#host;
    globalThis.addEventListener("offline", () => this.#networkLost(), { signal });
    globalThis.addEventListener("online", () => this.#networkBack(), { signal });
    globalThis.document?.addEventListener(
      "visibilitychange",
      () => document.visibilityState === "visible" && this.#probe(),
      { signal },
    );
  }

  #networkLost() {
    this.#forget();
    this.#become({ name: "offline" });
  }

  #networkBack() {
    if (this.#state.name === "offline" || this.#state.name === "waiting") this.#connect();
  }

  /** Ask whether the connection still lives. */
  #probe() {
    if (!this.connected) return;
    this.#write({ op: "ping" });
    this.#later("silence", PATIENCE_MS + this.#upload, () => this.#lose(BROKEN, "silent"));
  }

  /** Get a new token in time, and say hello with it on the same connection. */
  #renewLater(token) {
    const left = expiry(token) - Date.now();
    if (typeof this.#token !== "function" || Number.isNaN(left)) return;
    const wait = left > 0 ? left - Math.min(RENEW_MS, left / 4) : SKEWED_MS;
    this.#later("renew", wait, () => this.#renew(0));
  }

  async #renew(failures) {
    const socket = this.#socket;
    try {
      const token = await this.#getToken();
      if (socket !== this.#socket) return;
      await this.request("hello", { token });
      this.#renewLater(token);
    } catch {
      if (socket !== this.#socket) return;
      this.#later("renew", fullJitter(failures, REPEAT), () => this.#renew(failures + 1));
    }
  }

  // Frames

  #receive(text) {
    if (this.connected) this.#expectHeartbeat();
    const socket = this.#socket;
    for (const event of JSON.parse(text)) {
      if (socket !== this.#socket) return;
      if (event.op === "chunk") this.#collect(event);
      else this.#take(event);
    }
  }

  #collect({ id, part, of, data }) {
    const pieces = this.#unfinished.get(id) ?? [];
    this.#unfinished.set(id, pieces);
    pieces.push(data);
    if (part < of) return;
    this.#unfinished.delete(id);
    this.#receive(pieces.join(""));
  }

  #take(event) {
    if (event.op === "welcome") this.#welcome(event);
    if (event.op === "reconnect") this.#leaveIn(event.after_ms);
    const request = this.#requests.get(event.ref);
    if (!request?.quiet) this.#inflow.take(event, request?.frame);
    if (request) settleWith(request, event);
  }

  #deliver(event, request) {
    this.#emit(event.op, event, request);
    this.#emit("event", event, request);
    if (this.#ack && event.op === "message") this.#acknowledgeSoon(event.mailbox);
  }

  #acknowledgeSoon(mailbox) {
    if (!this.#unacknowledged.size) this.#later("ack", ACK_MS, () => this.#acknowledge());
    this.#unacknowledged.add(mailbox);
  }

  #acknowledge() {
    for (const mailbox of this.#unacknowledged) {
      const seq = this.#inflow.seq(mailbox);
      if (seq) this.#write({ op: "ack", mailbox, seq });
    }
    this.#unacknowledged.clear();
  }

  /** @param {boolean} [quiet] whether the answer is for this module alone */
  #request(fields, quiet = false) {
    if (!this.connected) return Promise.reject(disconnected());
    const frame = { ...fields, ref: this.#nextRef++ };
    const text = JSON.stringify(frame);
    const [size, limit] = [byteLength(text), this.#limits.assembly_bytes];
    if (size > limit) return Promise.reject(tooLarge(limit));
    if (size <= this.#limits.frame_bytes) this.#socket.send(text);
    else this.#writeInChunks(frame.ref, text);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(undefined, late()), this.#timeout + this.#upload);
      const settle = (event, error) => {
        clearTimeout(timer);
        this.#requests.delete(frame.ref);
        if (error) reject(error);
        else resolve(event);
      };
      this.#requests.set(frame.ref, { frame, quiet, settle });
    });
  }

  #writeInChunks(ref, text) {
    const most = Math.floor((this.#limits.frame_bytes - CHUNK_OVERHEAD) / UNIT_BYTES);
    const pieces = [...cut(text, most)];
    const of = pieces.length;
    pieces.forEach((data, i) => this.#write({ op: "chunk", id: ref, ref, part: i + 1, of, data }));
  }

  /** How long what is written may take to go out, in ms. */
  get #upload() {
    return this.#socket.bufferedAmount / UPLOAD;
  }

  async #insist(fields, quiet = false) {
    for (let failures = 0; this.connected; failures++) {
      try {
        return await this.#request(fields, quiet);
      } catch (error) {
        if (error.code === "disconnected") break;
        if (!error.retriable) throw error;
        await pause(fullJitter(failures, REPEAT) + error.retryAfter * 1_000);
      }
    }
    return null;
  }

  #pull(mailbox, after) {
    return this.#insist({ op: "history", mailbox, after, limit: PULL }, true);
  }

  /** The refusal of a watch is heard by those who listen for `error`. */
  #watch(mailbox) {
    this.insist("watch", { mailbox, mode: "live" }).catch(() => {});
  }

  async #tellRead(mailbox) {
    if (!this.connected || this.#reading.has(mailbox)) return;
    this.#reading.add(mailbox);
    const seq = this.#reads.get(mailbox);
    const lost = await this.insist("read", { mailbox, seq }).then(
      (answer) => answer === null,
      () => false,
    );
    await pause(READ_MS);
    this.#reading.delete(mailbox);
    if (!lost && this.#reads.get(mailbox) === seq) this.#reads.delete(mailbox);
    else this.#tellRead(mailbox);
  }

  #expectHeartbeat() {
    this.#later("silence", this.#heartbeat, () => this.#probe());
  }

  /** One timer of each name; all end with the connection. */
  #later(name, ms, action) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(action, Math.min(ms, MAX_TIMER_MS));
  }

  #write(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #become(state) {
    this.#state = state;
    this.#emit("state", state);
  }

  /** A listener that throws must not cost the others, or the events after this one. */
  #emit(kind, ...payload) {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) {
      try {
        listener(...payload);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/** Where the messages of a mailbox have got to. */
class Place {
  /** What came behind a hole and waits until it is filled; null if there is none. */
  held = null;

  constructor(epoch, seq) {
    this.epoch = epoch;
    this.seq = seq;
  }
}

/**
 * The messages of all live mailboxes, in seq order and once: what was delivered before is dropped,
 * what comes beyond a hole waits until `pull` has filled it. Exported for its tests.
 */
export class Inflow {
  #user;
  #complete;
  #deliver;
  #pull;
  #watch;
  /** @type {Map<string, Place>} */
  #places = new Map();

  /**
   * @param {object} parts
   * @param {string} parts.user
   * @param {(mailbox: string) => boolean} parts.complete whether no message of it may be missed
   * @param {(event: WireEvent, request?: WireEvent) => void} parts.deliver
   * @param {(mailbox: string, after: number) => Promise<any>} parts.pull gets a page of history;
   *   null if the connection is lost, rejects if refused
   * @param {(mailbox: string) => void} parts.watch asks to watch a mailbox live
   */
  constructor({ user, complete, deliver, pull, watch }) {
    this.#user = user;
    this.#complete = complete;
    this.#deliver = deliver;
    this.#pull = pull;
    this.#watch = watch;
  }

  /** The last seq that was delivered; 0 if the mailbox is not followed. @param {string} mailbox */
  seq(mailbox) {
    return this.#places.get(mailbox)?.seq ?? 0;
  }

  /**
   * A new connection: where to go on, of the mailboxes that are to be complete.
   * @returns {Object<string, [string, number]>} epoch and seq by mailbox
   */
  resume() {
    /** @type {Object<string, [string, number]>} */
    const since = {};
    for (const [mailbox, place] of this.#places) {
      place.held = null;
      if (this.#complete(mailbox)) since[mailbox] = [place.epoch, place.seq];
      else this.#places.delete(mailbox);
    }
    return since;
  }

  /**
   * @param {WireEvent} event
   * @param {WireEvent} [request] the request that the event answers
   */
  take(event, request) {
    const handler = this.#handlers[event.op];
    if (handler) handler(event, request);
    else this.#deliver(event, request);
  }

  #handlers = {
    message: (event) => this.#message(event),
    gap: (event) => this.#gap(event),
    recalled: (event, request) => {
      // Told at once, and again where the message still waits.
      this.#places.get(event.mailbox)?.held?.push(event);
      this.#deliver(event, request);
    },
    sync: (event, request) => {
      this.#deliver(event, request);
      event.mailboxes.forEach((entry) => this.#listed(entry));
    },
    watching: (event, request) => {
      this.#deliver(event, request);
      this.#watching(event);
    },
    resumed: (event) => {
      this.#deliver(event);
      this.#resumed(event);
    },
    created: (event, request) => this.#entered(event, request),
    joined: (event, request) => this.#entered(event, request),
    left: (event, request) => {
      if (event.members?.includes(this.#user)) this.#places.delete(event.mailbox);
      this.#deliver(event, request);
    },
    error: (event, request) => {
      if (event.mailbox && !request) this.#unresumed(event);
      this.#deliver(event, request);
    },
  };

  #message(event) {
    const { mailbox, seq } = event;
    const place = this.#places.get(mailbox);
    if (!place) this.#places.set(mailbox, new Place("", seq));
    else if (place.held) return place.held.push(event);
    else if (seq <= place.seq) return;
    else if (seq > place.seq + 1 && this.#complete(mailbox)) {
      return this.#fill(mailbox, place, { to: seq - 1, held: [event] });
    } else place.seq = seq;
    this.#deliver(event);
  }

  #gap(event) {
    const { mailbox, to } = event;
    const place = this.#places.get(mailbox);
    if (place?.held) place.held.push(event);
    else if (!place || to > place.seq) {
      if (place && this.#complete(mailbox)) return this.#fill(mailbox, place, { to });
      if (place) place.seq = to;
      this.#deliver(event);
    }
  }

  #listed({ mailbox, epoch, head, mode }) {
    const place = this.#places.get(mailbox);
    if (mode !== "live") this.#places.delete(mailbox);
    else if (!place) this.#places.set(mailbox, new Place(epoch, head));
    else if (!place.epoch) place.epoch = epoch;
    else if (place.epoch !== epoch) this.#reset(mailbox, epoch, head);
  }

  #watching(event) {
    const { mailbox, head } = event;
    this.#listed(event);
    const place = this.#places.get(mailbox);
    if (place && head > place.seq) this.#gap({ op: "gap", mailbox, from: place.seq + 1, to: head });
  }

  #resumed({ mailbox, epoch, head, recovered }) {
    const place = this.#places.get(mailbox);
    if (!recovered) this.#reset(mailbox, epoch, head);
    else if (!place) this.#places.set(mailbox, new Place(epoch, head));
    else {
      place.epoch = epoch;
      if (!place.held) place.seq = Math.max(place.seq, head);
    }
  }

  /** A resume that failed for a passing reason is made good by watching and pulling. */
  #unresumed({ mailbox, retriable }) {
    if (retriable) this.#watch(mailbox);
    else this.#places.delete(mailbox);
  }

  #entered(event, request) {
    const { op, mailbox, epoch, head, members } = event;
    if (op === "created" || members?.includes(this.#user)) {
      const known = this.#places.get(mailbox);
      if (known?.epoch === "") known.epoch = epoch;
      else if (known?.epoch !== epoch) this.#places.set(mailbox, new Place(epoch, head));
    }
    this.#deliver(event, request);
  }

  /** What lies between is not delivered. */
  #reset(mailbox, epoch, head) {
    this.#places.set(mailbox, new Place(epoch, head));
    this.#deliver({ op: "reset", mailbox, epoch, head });
  }

  async #fill(mailbox, place, { to, held = [] }) {
    place.held = held;
    const current = () => this.#places.get(mailbox) === place && place.held === held;
    while (current() && place.seq < to) {
      try {
        const page = await this.#pull(mailbox, place.seq);
        if (!page || !current()) return;
        this.#append(mailbox, place, page, to);
      } catch {
        if (!current()) return;
        this.#deliver({ op: "gap", mailbox, from: place.seq + 1, to });
        place.seq = to;
      }
    }
    if (!current()) return;
    place.held = null;
    for (const event of held) this.take(event);
  }

  /** History is authoritative: seqs that it leaves out below its end are gone. */
  #append(mailbox, place, { epoch, head, messages, more }, to) {
    if (place.epoch && place.epoch !== epoch) return this.#reset(mailbox, epoch, head);
    for (const message of messages.filter(({ seq }) => seq > place.seq)) {
      place.seq = message.seq;
      this.#deliver({ op: "message", mailbox, ...message });
    }
    if (!more || !messages.length) place.seq = Math.max(place.seq, head, to);
  }
}

/**
 * What waits to be sent, in IndexedDB: it outlives the page, and all tabs of the user share it.
 * Each entry keeps its UUID until it is accepted or refused, so a gateway takes it once however
 * often it is sent. Of each lane one entry is on its way at a time, from one tab: that keeps the
 * order through retries.
 *
 * An entry: `n` (its place), `user`, `lane`, `op`, `fields` of the request, `created` (ms).
 */
class Queue {
  #user;
  #limit;
  #ready;
  #submit;
  #emit;
  #database = null;
  #channel;
  /** Lanes that this tab is about to empty. */
  #draining = new Set();
  /** Promises of `add`, by id. @type {Map<string, any>} */
  #promises = new Map();
  /** Whether what waits has changed since `queue` listeners were told. */
  #stale = false;
  #showing = false;

  constructor({ user, limit, ready, submit, emit }) {
    this.#user = user;
    this.#limit = limit;
    this.#ready = ready;
    this.#submit = submit;
    this.#emit = emit;
    this.#channel = new BroadcastChannel(`readcast ${user}`);
    this.#channel.onmessage = ({ data }) => this.#heard(data);
  }

  /** @returns {Promise<WireEvent>} settles when it is accepted or refused, in whatever tab */
  async add(lane, op, fields) {
    const { id } = fields;
    const settled = this.#promise(id);
    try {
      await this.#put({ user: this.#user, id, lane, op, fields, created: Date.now() });
      this.#tell({ lane });
    } catch (error) {
      this.#promises.delete(id);
      throw error;
    }
    return settled;
  }

  /** @param {string} id */
  async discard(id) {
    const entries = await this.#entries();
    const entry = entries.find((one) => one.id === id);
    if (entry) await this.#settle(entry, { error: { code: "discarded", message: "Discarded." } });
  }

  /** Go on with everything that waits. */
  async flush() {
    try {
      const entries = await this.#entries();
      for (const lane of new Set(entries.map((entry) => entry.lane))) this.#drain(lane);
    } catch (error) {
      reportError(error);
    }
  }

  /** Tell `queue` listeners what waits; changes that come fast are put together. */
  async show() {
    this.#stale = true;
    if (this.#showing) return;
    this.#showing = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        this.#emit("queue", (await this.#entries()).map(waiting));
      }
    } catch (error) {
      reportError(error);
    } finally {
      this.#showing = false;
    }
  }

  async #drain(lane) {
    if (this.#draining.has(lane)) return;
    this.#draining.add(lane);
    try {
      await navigator.locks.request(`readcast ${this.#user} ${lane}`, async () => {
        this.#draining.delete(lane);
        for (let entry; this.#ready() && (entry = await this.#first(lane)); ) {
          await this.#forward(entry);
        }
      });
    } catch (error) {
      reportError(error);
    }
  }

  async #forward(entry) {
    try {
      const answer = await this.#submit(entry.op, entry.fields);
      if (answer) await this.#settle(entry, { answer });
    } catch ({ code, message, retriable }) {
      await this.#settle(entry, { error: { code, message, retriable } });
    }
  }

  /** Told before it is deleted: a tab that dies in between has it sent again, which is harmless. */
  async #settle(entry, outcome) {
    this.#tell({ lane: entry.lane, settled: { entry, ...outcome } });
    await this.#write((store) => store.delete(entry.n));
    this.#tell({ lane: entry.lane });
  }

  #tell(news) {
    this.#channel.postMessage(news);
    this.#heard(news);
  }

  #heard({ lane, settled }) {
    if (settled) this.#settled(settled);
    else {
      this.show();
      if (this.#ready()) this.#drain(lane);
    }
  }

  #settled({ entry, answer, error }) {
    const promise = this.#promises.get(entry.id);
    this.#promises.delete(entry.id);
    if (answer) {
      this.#emit("accepted", waiting(entry), answer);
      promise?.resolve(answer);
    } else {
      const refusal = new RequestError(error.code, error.message, error);
      this.#emit("refused", waiting(entry), refusal);
      promise?.reject(refusal);
    }
  }

  #promise(id) {
    if (!this.#promises.has(id)) {
      const settle = {};
      const promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
      this.#promises.set(id, { promise, ...settle });
    }
    return this.#promises.get(id).promise;
  }

  async #put(entry) {
    try {
      await this.#write(async (store) => {
        const count = await result(store.index("lane").count(ofUser(this.#user)));
        if (count >= this.#limit) throw full(this.#limit);
        store.add(entry);
      });
    } catch (error) {
      // It waits already.
      if (error?.name !== "ConstraintError") throw asRequestError(error);
    }
  }

  async #first(lane) {
    const store = await this.#store("readonly");
    return result(store.index("lane").get([this.#user, lane]));
  }

  /** All of the user, the oldest first. */
  async #entries() {
    const store = await this.#store("readonly");
    const entries = await result(store.index("lane").getAll(ofUser(this.#user)));
    return entries.sort((a, b) => a.n - b.n);
  }

  /** Change the store; done once that is on disk. */
  async #write(change) {
    const store = await this.#store("readwrite");
    const { transaction } = store;
    const written = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    await Promise.all([written, change(store)]);
  }

  async #store(mode) {
    this.#database ??= openDatabase(() => (this.#database = null));
    const database = await this.#database;
    return database.transaction("queue", mode).objectStore("queue");
  }
}

/** @param {() => void} closed the browser has closed it */
async function openDatabase(closed) {
  const request = indexedDB.open("readcast", 1);
  request.onupgradeneeded = () => {
    const store = request.result.createObjectStore("queue", { keyPath: "n", autoIncrement: true });
    // Entries of a lane come in the order of their keys.
    store.createIndex("lane", ["user", "lane"]);
    store.createIndex("id", ["user", "id"], { unique: true });
  };
  try {
    const database = await result(request);
    database.onclose = closed;
    return database;
  } catch (error) {
    closed();
    throw error;
  }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The keys of a user's entries, in whatever lane: arrays sort after strings. */
const ofUser = (user) => IDBKeyRange.bound([user], [user, []]);

/** An entry as others see it. @returns {Waiting} */
const waiting = ({ op, fields, created }) => ({ op, created, ...fields });

const full = (limit) =>
  new RequestError("queue_full", `${limit} messages wait to be sent; no more are kept.`, {
    retriable: true,
  });

/** What a failing database says. */
const asRequestError = (error) =>
  error instanceof RequestError ? error : new RequestError("storage", `Not kept: ${error?.message}`);

const disconnected = () =>
  new RequestError("disconnected", "There is no connection.", { retriable: true });

const late = () => new RequestError("unavailable", "No answer in time.", { retriable: true });

const tooLarge = (limit) => new RequestError("too_large", `A frame has at most ${limit} bytes.`);

const byteLength = (text) => new TextEncoder().encode(text).length;

/**
 * A text in pieces, cut between characters.
 * @param {string} text
 * @param {number} most UTF-16 units of a piece
 */
function* cut(text, most) {
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = start + most;
    const last = text.charCodeAt(end - 1);
    if (last >= 0xd800 && last < 0xdc00) end--;
    yield text.slice(start, end);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function settleWith({ settle }, event) {
  if (event.op !== "error") settle(event);
  else {
    const { code, message, retriable, retry_after: retryAfter } = event;
    settle(undefined, new RequestError(code, message, { retriable, retryAfter }));
  }
}

/** The gateway that this module came from. */
function gatewayUrl() {
  const url = new URL("ws", import.meta.url);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** When a token ends. @returns {number} ms since 1970; NaN if it does not say */
function expiry(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(base64)).exp * 1_000;
  } catch {
    return NaN;
  }
}
