/** The list of conversations, and how the connection is. */

import { announce, byId, h, reconcile } from "./dom.js";
import { avatar, kind, plural, text, title, when } from "./format.js";

export class Sidebar {
  #store;
  #ticking;

  /** @param {{client: import('./client.js').Client, store: import('./store.js').Store}} parts */
  constructor({ client, store }) {
    this.#store = store;
    byId("me-name").textContent = store.user;
    byId("me-avatar").replaceChildren(avatar(store.user));
    byId("banner-retry").onclick = () => client.retryNow();
    byId("list").onkeydown = step;
    client.on("state", (state) => this.#connection(state));
  }

  /** @param {string | null} current the conversation on the screen */
  render(current) {
    const conversations = this.#store.list();
    reconcile(
      byId("list"),
      conversations.map((one) => this.#row(one, one.mailbox === current)),
    );
    byId("list-empty").hidden = !this.#store.synced || conversations.length > 0;
    const { unread } = this.#store;
    document.title = unread ? `(${unread}) Readcast` : "Readcast";
  }

  #row(conversation, current) {
    const { mailbox, last, unread } = conversation;
    const name = title(mailbox, this.#store.user);
    const preview = this.#preview(last);
    const at = last ? when(last.ts) : "";
    return {
      key: mailbox,
      signature: JSON.stringify([preview, at, unread, current]),
      build: () =>
        h(
          "li",
          {},
          h(
            "a.row",
            { href: `#${mailbox}`, "aria-current": current ? "true" : null },
            avatar(name, kind(mailbox)),
            h(
              "span.row-text",
              {},
              h("span.row-line", {}, h("span.row-name", {}, name), h("span.row-time", {}, at)),
              h("span.row-line", {}, h("span.row-last", {}, preview), unread > 0 && badge(unread)),
            ),
          ),
        ),
    };
  }

  #preview(message) {
    if (!message) return "No messages yet";
    if (message.recalled) return "Message recalled";
    const author = message.from === this.#store.user ? "You" : message.from;
    return `${author}: ${text(message.body)}`.slice(0, 140);
  }

  #connection(state) {
    clearInterval(this.#ticking);
    byId("app").dataset.connection = state.name;
    const before = byId("banner").hidden;
    const calm = state.name === "connected" || (state.name === "connecting" && before);
    if (calm !== before) announce(calm ? "Connected" : "Connection lost");
    const paint = () => {
      const words = describe(state);
      const hint = state.name === "offline" ? ". What you write is sent when you are back." : "";
      byId("connection").textContent = words;
      byId("banner-text").textContent = words + hint;
      byId("banner").hidden = calm;
      byId("banner-retry").hidden = state.name !== "waiting";
    };
    paint();
    if (state.name === "waiting") this.#ticking = setInterval(paint, 250);
  }
}

function badge(unread) {
  const shown = unread > 999 ? "999+" : String(unread);
  return h(
    "span.badge",
    {},
    h("span", { "aria-hidden": "true" }, shown),
    h("span.hidden", {}, plural(unread, "unread message")),
  );
}

/** @param {import('./client.js').State} state */
function describe({ name, retryAt }) {
  if (name === "connected") return "Connected";
  if (name === "connecting") return "Connecting…";
  if (name === "offline") return "Offline";
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
}

/** Arrow keys move through the list. */
function step(event) {
  const direction = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!direction) return;
  const rows = [...byId("list").querySelectorAll("a")];
  rows[rows.indexOf(document.activeElement) + direction]?.focus();
  event.preventDefault();
}
