/** Types of readcast.js. The fields of frames and events are described in docs/protocol.md, section 9. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Message {
  /** 1, 2, 3 ... in its mailbox. */
  seq: number;
  /** The UUID it was sent under. */
  id: string;
  from: string;
  /** ms since 1970, the broker's clock. */
  ts: number;
  /** Missing once it is recalled, and in the `last` of a mailbox where it is long. */
  body?: Json;
  recalled?: true;
}

export interface MailboxEntry {
  mailbox: string;
  /** Another epoch is another mailbox under the same name. */
  epoch: string;
  /** The seq of the newest message; 0: none. */
  head: number;
  /** The user has read up to this seq. */
  read: number;
  unread: number;
  last: Message | null;
  members: number;
  role: "owner" | "admin" | "member" | "reader";
  mode: Mode | "notice";
  closed: boolean;
}

export type Mode = "live" | "notify" | "off";

/** A frame or an event of the wire that has no type of its own here. */
export interface WireEvent {
  op: string;
  mailbox?: string;
  ref?: number;
  [field: string]: any;
}

/** Events by their `op`; others are a `WireEvent`. */
export interface Events {
  welcome: {
    op: "welcome";
    user: string;
    session: string;
    limits: Record<string, number>;
    heartbeat_ms: number;
  };
  sync: { op: "sync"; mailboxes: MailboxEntry[]; unread: Record<string, number> };
  message: { op: "message"; mailbox: string } & Message;
  recalled: { op: "recalled"; mailbox: string; seq: number; by: string | null };
  head: { op: "head"; mailbox: string; head: number; unread: number };
  /** These messages, `to` included, are not delivered. */
  gap: { op: "gap"; mailbox: string; from: number; to: number };
  /** Of this module: what came before `head`, and was not delivered, is not delivered any more. */
  reset: { op: "reset"; mailbox: string; epoch: string; head: number };
  cursor: { op: "cursor"; mailbox: string; read: number; unread: number };
  joined: { op: "joined"; mailbox: string; members: string[]; epoch: string; head: number };
  left: { op: "left"; mailbox: string; members: string[] };
  error: {
    op: "error";
    code: string;
    message: string;
    retriable: boolean;
    retry_after: number;
    mailbox?: string;
  };
}

/** Answers by the `op` of their request; others are a `WireEvent`. */
export interface Answers {
  sync: Events["sync"];
  watch: { op: "watching"; mailbox: string; epoch: string; head: number; mode: Mode };
  history: {
    op: "history";
    mailbox: string;
    epoch: string;
    head: number;
    messages: Message[];
    more: boolean;
  };
  create: { op: "created"; mailbox: string; epoch: string; head: number };
  join: Events["joined"];
  leave: Events["left"];
  read: Events["cursor"];
  unread: Events["cursor"];
  recall: Events["recalled"];
  ping: { op: "pong" };
}

export interface Sent {
  op: "sent";
  mailbox: string;
  id: string;
  seq: number;
  ts: number;
  /** It had been accepted before, with this seq. */
  duplicate: boolean;
}

export interface Posted {
  op: "posted";
  id: string;
  post: string;
  seq: number;
  ts: number;
  duplicate: boolean;
}

/** What waits to be sent: a message, or a post without a mailbox. */
export interface Waiting {
  op: "send" | "post";
  id: string;
  mailbox?: string;
  body: Json;
  /** Of a post. */
  state?: string | null;
  /** ms since 1970, this machine's clock. */
  created: number;
}

export type State =
  /** Not opened, or closed by `close()`. */
  | { name: "idle" }
  | { name: "connecting" }
  | { name: "connected" }
  /** The next attempt is at `retryAt`, ms since 1970. */
  | { name: "waiting"; retryAt: number }
  /** The browser says that the network is gone. */
  | { name: "offline" }
  /** For good, with the gateway's close code (4500 and above). */
  | { name: "closed"; code: number; reason: string };

export interface Backoff {
  /** ms: the first attempt waits up to this, each further one up to twice as long. */
  base: number;
  /** ms: the bound of all. */
  cap: number;
}

export interface Options {
  /** Who the token is of: the queue is theirs. */
  user: string;
  /**
   * A JWT; or what gets one, which is asked before each connection and before the token ends. Null
   * means that nobody is logged in any more: the client closes.
   */
  token: string | (() => string | null | Promise<string | null>);
  /** The gateway's WebSocket, ws:// or wss://. Default: beside this module. */
  url?: string;
  /** Whether no message of a mailbox may be missed, after an absence or at a gap. Default: of any. */
  complete?: (mailbox: string) => boolean;
  /** Whether to acknowledge what was delivered. Default: false. */
  ack?: boolean;
  /** Default: 1 s and 30 s. */
  backoff?: Backoff;
  /** ms until a request without an answer fails as `unavailable`. Default: 15,000. */
  timeout?: number;
  /** Entries that may wait to be sent, of the user, in all tabs together. Default: 1,000. */
  queueLimit?: number;
}

export class RequestError extends Error {
  constructor(code: string, message: string, advice?: { retriable?: boolean; retryAfter?: number });
  /** A code of docs/protocol.md, or `disconnected`, `queue_full`, `storage` or `discarded`. */
  code: string;
  /** Whether the same request may succeed later. */
  retriable: boolean;
  /** Seconds to wait before. */
  retryAfter: number;
}

export class Client {
  constructor(options: Options);
  readonly state: State;
  readonly connected: boolean;

  on(kind: "state", listener: (state: State) => void): () => void;
  /** What waits to be sent, the oldest first, whenever that changes, in whatever tab. */
  on(kind: "queue", listener: (waiting: Waiting[]) => void): () => void;
  on(kind: "accepted", listener: (entry: Waiting, receipt: Sent | Posted) => void): () => void;
  on(kind: "refused", listener: (entry: Waiting, error: RequestError) => void): () => void;
  on<Op extends keyof Events>(
    kind: Op,
    listener: (event: Events[Op], request?: WireEvent) => void,
  ): () => void;
  on(kind: string, listener: (event: WireEvent, request?: WireEvent) => void): () => void;

  open(): void;
  close(): void;
  retryNow(): void;

  request<Op extends keyof Answers>(op: Op, fields?: object): Promise<Answers[Op]>;
  request(op: string, fields?: object): Promise<WireEvent>;
  insist<Op extends keyof Answers>(op: Op, fields?: object): Promise<Answers[Op] | null>;
  insist(op: string, fields?: object): Promise<WireEvent | null>;

  send(mailbox: string, body: Json, options?: { id?: string }): Promise<Sent>;
  post(body: Json, options?: { id?: string; state?: string | null }): Promise<Posted>;
  discard(id: string): Promise<void>;
  read(mailbox: string, seq: number): void;
}

/** From nothing up to `base * 2 ** attempt` or `cap`, evenly spread; ms. `attempt` from 0. */
export function fullJitter(attempt: number, backoff: Backoff, random?: () => number): number;
