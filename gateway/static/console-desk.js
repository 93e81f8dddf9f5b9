/**
 * What operators see and do: the board of publishes, kept current, with the course of its counts
 * while the console is open. Knows nothing of the DOM.
 */

import { keyOf } from "./notices.js";

const REFRESH_MS = 2_000;
const TRAIL_PAGE = 50;
/** Points of a plot; the oldest go first. */
const POINTS = 2_000;
/** A finished release is shown as such for this long. */
const DONE_MS = 4_000;

/**
 * @typedef {object} Publish as `board` describes it, and:
 * @property {string} mailbox
 * @property {number} publish
 * @property {string} title
 * @property {any} body
 * @property {number} ts
 * @property {number} expires
 * @property {number} percent
 * @property {string[]} users all who are listed
 * @property {number} last the newest entry about it
 * @property {boolean} withdrawn
 * @property {{
 *   entry: number, by: string, ts: number, percent: number, users: number,
 *   touched: number | null, opened: number | null
 * }[]} stages each with those whom it was the first to reach
 * @property {number | null} touched null once it is counted no more
 * @property {number | null} opened
 * @property {number} online
 */

/** @typedef {{at: number, touched: number, opened: number, online: number}} Counts */

export class Desk {
  #client;
  #changed;
  #refreshing = false;
  /** @type {Map<string, Publish>} */
  #publishes = new Map();
  /** @type {Map<string, Counts[]>} */
  #courses = new Map();
  #progress = new Map();
  /** Ids of commands that got no answer: the same command again is safe under the same id. */
  #ids = new Map();
  /** @type {{mailbox: string, head: number}[]} */
  mailboxes = [];
  loaded = false;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {() => void} parts.changed
   * @param {(error: Error) => void} parts.refused the gateway takes no operator's requests from us
   */
  constructor({ client, changed, refused }) {
    this.#client = client;
    this.#changed = changed;
    client.on("event", (event) => {
      if (event.op === "board") this.#take(event.mailboxes);
      if (event.op === "progress") this.#spread(event);
      if (event.op === "error" && event.code === "forbidden") refused(new Error(event.message));
    });
    client.on("state", ({ name }) => name === "connected" && this.#connected());
    setInterval(() => document.visibilityState === "visible" && this.refresh(), REFRESH_MS);
  }

  /** Newest first. @param {string} mailbox @returns {Publish[]} */
  of(mailbox) {
    const publishes = [...this.#publishes.values()].filter((one) => one.mailbox === mailbox);
    return publishes.sort((a, b) => b.publish - a.publish);
  }

  /** @param {string} key @returns {Publish | undefined} */
  get(key) {
    return this.#publishes.get(key);
  }

  /** @param {string} key @returns {Counts[]} since the console was opened, oldest first */
  course(key) {
    return this.#courses.get(key) ?? [];
  }

  /** @param {string} key @returns {{planned: number, done: number} | undefined} of a release that spreads */
  progress(key) {
    return this.#progress.get(key);
  }

  async refresh() {
    if (this.#refreshing || !this.#client.connected) return;
    this.#refreshing = true;
    await this.#client.request("board").catch(() => {});
    this.#refreshing = false;
  }

  /** @param {object} draft the fields of `publish` @returns {Promise<string>} the key of the publish */
  async publish(draft) {
    const { mailbox, publish } = await this.#command("publish", draft);
    return keyOf({ mailbox, publish });
  }

  /** @param {Publish} publish @param {number} expect @param {{percent: number, users: string[]}} release */
  release({ mailbox, publish }, expect, release) {
    return this.#command("release", { mailbox, publish, expect, release });
  }

  /** @param {Publish} publish @param {number} expect */
  withdraw({ mailbox, publish }, expect) {
    return this.#command("withdraw", { mailbox, publish, expect });
  }

  /** @param {Publish} publish @param {string} user @param {object} claims of the user's token */
  preview({ mailbox, publish }, user, claims) {
    return this.#client.request("preview", { mailbox, publish, user, claims });
  }

  /** The audit trail, newest first. @param {string} mailbox @param {number | null} [before] */
  entries(mailbox, before = null) {
    return this.#client.request("entries", { mailbox, before, limit: TRAIL_PAGE });
  }

  /** What was entered about a publish after `expect`, oldest first. */
  async since({ mailbox, publish }, expect) {
    const { entries } = await this.entries(mailbox);
    return entries.filter((one) => one.seq > expect && one.publish === publish).reverse();
  }

  async #command(op, fields) {
    const signature = JSON.stringify([op, fields]);
    const id = this.#ids.get(signature) ?? crypto.randomUUID();
    this.#ids.set(signature, id);
    try {
      const answer = await this.#client.request(op, { ...fields, id });
      this.#ids.delete(signature);
      return answer;
    } catch (error) {
      if (!error.retriable) this.#ids.delete(signature);
      throw error;
    } finally {
      await this.refresh();
    }
  }

  /** How far releases are, the gateway says anew. */
  #connected() {
    this.#progress.clear();
    this.refresh();
  }

  #take(mailboxes) {
    this.mailboxes = mailboxes;
    this.loaded = true;
    this.#publishes = new Map();
    for (const { mailbox, publishes } of mailboxes) {
      for (const publish of publishes) {
        const one = { ...publish, mailbox };
        const key = keyOf(one);
        this.#publishes.set(key, one);
        this.#record(key, one);
      }
    }
    this.#changed();
  }

  #record(key, publish) {
    const course = this.#courses.get(key) ?? [];
    const { online } = publish;
    const [touched, opened] = [publish.touched ?? 0, publish.opened ?? 0];
    const counts = { at: Date.now(), touched, opened, online };
    const same = (one) => one?.touched === touched && one.opened === opened && one.online === online;
    // Of a level stretch only its two ends are kept.
    if (same(course.at(-1)) && same(course.at(-2))) course.pop();
    course.push(counts);
    this.#courses.set(key, course.slice(-POINTS));
  }

  #spread(event) {
    const key = keyOf(event);
    this.#progress.set(key, event);
    if (event.done >= event.planned) {
      setTimeout(() => {
        if (this.#progress.get(key) === event) this.#progress.delete(key);
        this.#changed();
      }, DONE_MS);
    }
    this.#changed();
  }
}

const isOver = ({ expires }) => expires > 0 && expires <= Date.now();

/** How far a publish is, and in which words. @param {Publish} publish */
export function standing(publish) {
  const { withdrawn, percent, users } = publish;
  if (withdrawn) return { name: "withdrawn", words: "Withdrawn" };
  if (isOver(publish)) return { name: "expired", words: "Expired" };
  if (percent >= 100) return { name: "all", words: "Everybody" };
  if (percent > 0) return { name: "part", words: `${percent} %` };
  return { name: "listed", words: users.length ? `${users.length} listed` : "Nobody yet" };
}

/** Whether it can still be released further. @param {Publish} publish */
export const isLive = (publish) => !publish.withdrawn && !isOver(publish);

/** What an entry of the audit trail did. @param {any} entry */
export function deed({ kind, release = {}, title }) {
  const { percent = 0, users = [] } = release;
  const listed = users.length ? `listed ${users.join(", ")}` : "";
  if (kind === "withdraw") return "withdrew it";
  const reach = [percent > 0 && `${percent} %`, listed].filter(Boolean).join(" and ");
  if (kind === "publish") return `published “${title}”${reach && ` to ${reach.replace("listed ", "")}`}`;
  return `released it to ${reach || "nobody more"}`;
}
