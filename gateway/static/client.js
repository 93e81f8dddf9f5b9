/**
 * A connection to a Readcast gateway that heals itself: it reconnects with full jitter, resumes
 * where it stopped and answers requests with promises. It knows nothing of the DOM.
 * The wire is described in docs/protocol.md, section 9.
 */

/** Close codes from here on mean that connecting again would not help. */
const FINAL_CLOSE = 4500;
/** A connection that lasted this long was a good one: the backoff starts anew. */
const STABLE_MS = 10_000;
/** How long a silent gateway may take to open a connection or to answer a ping. */
const PATIENCE_MS = 10_000;

/**
 * An event of the wire: `op` and the fields that docs/protocol.md gives for it.
 * @typedef {{op: string, mailbox?: string, ref?: number, [field: string]: any}} WireEvent
 */

/**
 * - `idle`: not opened, or closed by `close()`
 * - `connecting`, `connected`
 * - `waiting`: the next attempt is at `retryAt` (ms since 1970)
 * - `offline`: the network is gone, `networkBack()` is awaited
 * - `closed`: for good, with the gateway's close `code` (4500 and above)
 * @typedef {{
 *   name: 'idle' | 'connecting' | 'connected' | 'waiting' | 'offline' | 'closed',
 *   retryAt?: number, code?: number, reason?: string
 * }} State
 */

/**
 * @typedef {object} Options
 * @property {string} url the gateway's WebSocket, ws:// or wss://
 * @property {string} token a JWT whose `sub` is the user
 * @property {() => Object<string, [string, number]>} [since] epoch and last seq of each mailbox
 * @property {{base: number, cap: number}} [backoff] ms; attempt n waits up to base * 2^n or cap
 * @property {number} [timeout] ms until an unanswered request fails as `unavailable`
 */

/**
 * A request that waits for its answer.
 * @typedef {object} Request
 * @property {WireEvent} frame
 * @property {(answer?: WireEvent, error?: RequestError) => void} settle
 */

/** A request that was refused, or that got no answer. */
export class RequestError extends Error {
  /**
   * @param {string} code a code of docs/protocol.md, or `disconnected`
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

const disconnected = () =>
  new RequestError("disconnected", "There is no connection.", { retriable: true });

export class Client {
  #url;
  #token;
  #since;
  #backoff;
  #timeout;
  /** @type {State} */
  #state = { name: "idle" };
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<number, Request>} */
  #requests = new Map();
  #nextRef = 1;
  #attempt = 0;
  #welcomedAt = Infinity;
  #leaveAt = 0;
  #heartbeat = PATIENCE_MS;
  #retryTimer;
  #leaveTimer;
  #silenceTimer;
  #listeners = { state: new Set(), event: new Set() };

  /** @param {Options} options */
  constructor({
    url,
    token,
    since = () => ({}),
    backoff = { base: 1_000, cap: 30_000 },
    timeout = 15_000,
  }) {
    this.#url = url;
    this.#token = token;
    this.#since = since;
    this.#backoff = backoff;
    this.#timeout = timeout;
  }

  get state() {
    return this.#state;
  }

  get connected() {
    return this.#state.name === "connected";
  }

  /**
   * `state` listeners get a State. `event` listeners get each WireEvent in order and, where it
   * answers a request, the frame of that request; they run before the request's promise settles.
   * @param {'state' | 'event'} kind
   * @param {(payload: any, request?: WireEvent) => void} listener
   * @returns {() => void} removes the listener
   */
  on(kind, listener) {
    this.#listeners[kind].add(listener);
    return () => this.#listeners[kind].delete(listener);
  }

  open() {
    if (this.#state.name === "idle" || this.#state.name === "closed") this.#connect();
  }

  close() {
    this.#forget(1000);
    this.#become({ name: "idle" });
  }

  /** Connect at once instead of waiting for the next attempt. */
  retryNow() {
    if (this.#state.name === "waiting") this.#connect();
  }

  /** The host says that the network is gone. */
  networkLost() {
    if (this.#state.name === "idle" || this.#state.name === "closed") return;
    this.#forget(1000);
    this.#become({ name: "offline" });
  }

  /** The host says that the network is back. */
  networkBack() {
    if (this.#state.name === "offline" || this.#state.name === "waiting") this.#connect();
  }

  /** Ask whether the connection still lives, for example after the machine has slept. */
  probe() {
    if (!this.connected) return;
    this.#write({ op: "ping" });
    this.#expect(PATIENCE_MS, () => this.#lose(1006, "silent"));
  }

  /**
   * @param {string} op
   * @param {Object<string, any>} [fields]
   * @returns {Promise<WireEvent>} the answer; rejects with a RequestError
   */
  request(op, fields = {}) {
    if (!this.connected) return Promise.reject(disconnected());
    const ref = this.#nextRef++;
    const frame = { op, ref, ...fields };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const late = new RequestError("unavailable", "No answer in time.", { retriable: true });
        this.#requests.get(ref)?.settle(undefined, late);
      }, this.#timeout);
      const settle = (event, error) => {
        clearTimeout(timer);
        this.#requests.delete(ref);
        if (error) reject(error);
        else resolve(event);
      };
      this.#requests.set(ref, { frame, settle });
      this.#write(frame);
    });
  }

  /**
   * Like `request`, but repeats what failed for a passing reason as long as the connection lasts.
   * @param {string} op
   * @param {Object<string, any>} [fields]
   * @returns {Promise<WireEvent | null>} null if the connection is lost; rejects if refused
   */
  async insist(op, fields = {}) {
    for (let wait = 500; this.connected; wait = Math.min(10_000, wait * 2)) {
      try {
        return await this.request(op, fields);
      } catch (error) {
        if (error.code === "disconnected") break;
        if (!error.retriable) throw error;
        await pause(Math.random() * wait + error.retryAfter * 1000);
      }
    }
    return null;
  }

  #connect() {
    this.#forget(1000);
    this.#leaveAt = 0;
    this.#become({ name: "connecting" });
    const socket = new WebSocket(this.#url, "readcast.json");
    this.#socket = socket;
    socket.onopen = () =>
      this.#write({ op: "hello", token: this.#token, since: this.#since(), ack: false });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lose(code, reason);
    this.#expect(PATIENCE_MS, () => this.#lose(1006, "no welcome"));
  }

  #receive(data) {
    if (this.connected) this.#expectHeartbeat();
    for (const event of JSON.parse(data)) {
      if (event.op === "welcome") this.#welcome(event);
      if (event.op === "reconnect") this.#leaveIn(event.after_ms);
      const request = this.#requests.get(event.ref);
      this.#emit("event", event, request?.frame);
      if (request) settleWith(request, event);
    }
  }

  #welcome({ heartbeat_ms: heartbeat }) {
    this.#heartbeat = heartbeat ?? this.#heartbeat;
    this.#welcomedAt = Date.now();
    this.#expectHeartbeat();
    this.#become({ name: "connected" });
  }

  /** The gateway leaves: stay until then, so that nobody waits without need. */
  #leaveIn(ms) {
    this.#leaveAt = Date.now() + ms;
    clearTimeout(this.#leaveTimer);
    this.#leaveTimer = setTimeout(() => this.#connect(), ms);
  }

  #lose(code, reason) {
    const leaveAt = this.#leaveAt;
    this.#forget(1000);
    if (code >= FINAL_CLOSE) {
      this.#become({ name: "closed", code, reason });
      return;
    }
    if (Date.now() - this.#welcomedAt > STABLE_MS) this.#attempt = 0;
    this.#welcomedAt = Infinity;
    const retryAt = leaveAt || Date.now() + this.#jitter();
    this.#retryTimer = setTimeout(() => this.#connect(), retryAt - Date.now());
    this.#become({ name: "waiting", retryAt });
  }

  #jitter() {
    const { base, cap } = this.#backoff;
    return Math.random() * Math.min(cap, base * 2 ** this.#attempt++);
  }

  /** Drop the socket and whatever waits for it. */
  #forget(code) {
    for (const timer of [this.#retryTimer, this.#leaveTimer, this.#silenceTimer]) {
      clearTimeout(timer);
    }
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close(code);
      this.#socket = null;
    }
    for (const { settle } of [...this.#requests.values()]) settle(undefined, disconnected());
  }

  #expectHeartbeat() {
    this.#expect(this.#heartbeat, () => this.probe());
  }

  #expect(ms, otherwise) {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(otherwise, ms);
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
    for (const listener of [...this.#listeners[kind]]) {
      try {
        listener(...payload);
      } catch (error) {
        reportError(error);
      }
    }
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
