/** The list of conversations. */

import { byId, h, icon, reconcile } from "./dom.js";
import { avatar, kind, plural, text, title, when } from "./format.js";

export class Sidebar {
  #store;
  #notices;

  /**
   * @param {object} parts
   * @param {import('./store.js').Store} parts.store
   * @param {import('./notices.js').Notices} parts.notices
   */
  constructor({ store, notices }) {
    this.#store = store;
    this.#notices = notices;
    byId("list").onkeydown = step;
  }

  /** @param {string | null} current the conversation on the screen, or `notices` */
  render(current) {
    const conversations = this.#store.list();
    const rows = conversations.map((one) => this.#conversation(one, one.mailbox === current));
    if (this.#notices.any) {
      const newer = ({ time }) => time > (this.#notices.last?.ts ?? 0);
      rows.splice(conversations.filter(newer).length, 0, this.#found(current === "notices"));
    }
    reconcile(byId("list"), rows);
    byId("list-empty").hidden = !this.#store.synced || rows.length > 0;
    const { unread } = this.#store;
    document.title = unread ? `(${unread}) Readcast` : "Readcast";
  }

  #conversation({ mailbox, last, unread }, current) {
    const name = title(mailbox, this.#store.user);
    const face = () => avatar(name, kind(mailbox));
    const preview = this.#preview(mailbox, last);
    return row({ key: mailbox, name, face, preview, last, unread, noun: "unread message", current });
  }

  /** Where public notices are found again. */
  #found(current) {
    const { last, unread } = this.#notices;
    const preview = last?.title ?? "No notices";
    const face = () => h("span.avatar.bell", { "aria-hidden": "true" }, icon("bell"));
    const noun = "unopened notice";
    return row({ key: "notices", name: "Notices", face, preview, last, unread, noun, current });
  }

  #preview(mailbox, message) {
    if (!message) return "No messages yet";
    if (message.recalled) return "Message recalled";
    const author = message.from === this.#store.user ? "You" : message.from;
    // A long one is not listed with its body.
    const words = message.body === undefined ? "…" : text(message.body);
    // The row of a direct chat has the other one's name already.
    const named = author === "You" || !mailbox.startsWith("direct:");
    return (named ? `${author}: ${words}` : words).slice(0, 140);
  }
}

/** A line of the list; `key` is its address, too. @returns {import('./dom.js').Item} */
export function row({ key, name, face, preview, last, unread, noun, current }) {
  const at = last ? when(last.ts) : "";
  const mark = () => unread > 0 && badge(unread, noun);
  const content = () => [
    face(),
    h(
      "span.row-text",
      {},
      h("span.row-line", {}, h("span.row-name", {}, name), h("span.row-time", {}, at)),
      h("span.row-line", {}, h("span.row-last", { dir: "auto" }, preview), mark()),
    ),
  ];
  return linkItem({ key, current, signature: [preview, at, unread], content });
}

/**
 * An item that leads to the address `key`.
 * @param {object} item
 * @param {string} item.key
 * @param {boolean} item.current whether it leads to what is on the screen
 * @param {any[]} item.signature
 * @param {() => HTMLElement[]} item.content
 * @returns {import('./dom.js').Item}
 */
export function linkItem({ key, current, signature, content }) {
  return {
    key,
    signature: JSON.stringify([current, ...signature]),
    build: () => h("li", {}, h("a.row", { href: `#${key}` })),
    update: ({ firstElementChild: link }) => {
      link.ariaCurrent = current ? "true" : null;
      link.replaceChildren(...content());
    },
  };
}

/** @param {number} unread @param {string} noun */
export function badge(unread, noun) {
  const shown = unread > 999 ? "999+" : String(unread);
  return h(
    "span.badge",
    {},
    h("span", { "aria-hidden": "true" }, shown),
    h("span.hidden", {}, plural(unread, noun)),
  );
}

/** Arrow keys move through the list. @param {KeyboardEvent} event */
export function step(event) {
  const direction = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!direction) return;
  const rows = [...event.currentTarget.querySelectorAll("a")];
  rows[rows.indexOf(document.activeElement) + direction]?.focus();
  event.preventDefault();
}
