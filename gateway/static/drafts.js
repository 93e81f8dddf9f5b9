/** What a user has written and not sent: it outlives the page, and a log-in that ends by itself. */

const ITEM = "readcast.drafts.";

export class Drafts {
  #item;
  /** @type {Record<string, string>} */
  #texts;

  /** @param {string} user */
  constructor(user) {
    this.#item = ITEM + user;
    this.#texts = JSON.parse(sessionStorage.getItem(this.#item) ?? "{}");
  }

  /** @param {string | null} mailbox @returns {string} */
  get(mailbox) {
    return this.#texts[mailbox] ?? "";
  }

  /** @param {string} mailbox @param {string} words */
  set(mailbox, words) {
    this.#texts[mailbox] = words || undefined;
    sessionStorage.setItem(this.#item, JSON.stringify(this.#texts));
  }
}

/** Forget all that this tab remembers but the drafts. */
export function forgetOthers() {
  for (const item of Object.keys(sessionStorage)) {
    if (!item.startsWith(ITEM)) sessionStorage.removeItem(item);
  }
}
