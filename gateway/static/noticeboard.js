/** The notices on the page: the cards that come up, and the screen on which they are found again. */

import { card, channel, link, words } from "./cards.js";
import { announce, byId, h, reconcile } from "./dom.js";
import { when } from "./format.js";
import { keyOf } from "./notices.js";

/** @typedef {import('./notices.js').Notice} Notice */

export class Noticeboard {
  #notices;
  #goToList;
  #announced = new Set();
  #expanded = new Set();
  #visible = false;
  /** The notice that was asked for, until it stands in the list. @type {string | null} */
  #wanted = null;

  /**
   * @param {object} parts
   * @param {import('./notices.js').Notices} parts.notices
   * @param {() => void} parts.goToList puts the screen of notices up
   */
  constructor({ notices, goToList }) {
    this.#notices = notices;
    this.#goToList = goToList;
    byId("notices-more").onclick = () => notices.load();
    byId("cards").onkeydown = (event) => this.#keyed(event);
    document.addEventListener("visibilitychange", () => notices.look());
  }

  /** @param {boolean} visible whether the screen of notices is up */
  show(visible) {
    this.#visible = visible;
    if (!visible) {
      this.#expanded.clear();
      this.#wanted = null;
    } else if (!this.#notices.loaded) this.#notices.load();
    this.render();
  }

  focus() {
    byId("notices-scroll").focus();
    this.#reach();
  }

  render() {
    if (this.#visible && this.#notices.loaded) this.#settle();
    const { cards, waiting } = this.#notices;
    const items = cards.map((notice) => this.#card(notice));
    reconcile(byId("cards"), waiting ? [...items, this.#others(waiting)] : items);
    byId("cards").hidden = !cards.length;
    for (const notice of cards) this.#announce(notice);
    byId("notices").hidden = !this.#visible;
    if (this.#visible) this.#list();
  }

  #list() {
    const { list, loaded, loading, more } = this.#notices;
    reconcile(byId("notices-list"), list.map((notice) => this.#item(notice)));
    this.#reach();
    const empty = loaded && !list.length;
    byId("notices-state").textContent = loading ? "Loading…" : empty ? "There are no notices." : "";
    byId("notices-more").hidden = loading || !more;
  }

  /** Put the focus on the notice that was asked for, unless it has gone elsewhere meanwhile. */
  #reach() {
    if (document.activeElement !== byId("notices-scroll")) return;
    const item = this.#wanted && byId("notices-list").querySelector(`[data-key="${this.#wanted}"]`);
    if (!item) return;
    this.#wanted = null;
    item.querySelector("button").focus();
  }

  /** Whoever has the list before their eyes needs no card. */
  #settle() {
    while (this.#notices.cards.length) {
      const [notice] = this.#notices.cards;
      this.#announce(notice);
      this.#notices.dismiss(notice);
    }
  }

  #announce(notice) {
    if (this.#announced.has(keyOf(notice))) return;
    this.#announced.add(keyOf(notice));
    announce(`Notice: ${notice.title}. ${words(notice)}`);
  }

  #card(notice) {
    const build = () =>
      card(notice, {
        open: () => this.#reveal(notice),
        dismiss: () => this.#dismiss(notice),
        follow: () => this.#notices.open(notice),
      });
    return { key: keyOf(notice), signature: when(notice.ts), build };
  }

  /** The way to those for which there is no room. */
  #others(count) {
    const build = () => h("button.cards-others", { type: "button", onclick: this.#goToList }, `${count} more`);
    return { key: "others", signature: String(count), build };
  }

  #reveal(notice) {
    this.#wanted = keyOf(notice);
    this.#expanded.add(this.#wanted);
    this.#goToList();
    this.#notices.open(notice);
  }

  /** The focus, if it was there, goes to the next card or to where notices are found again. */
  #dismiss(notice) {
    const held = byId("cards").contains(document.activeElement);
    this.#notices.dismiss(notice);
    this.render();
    if (!held) return;
    const next = byId("cards").querySelector(".icon-button");
    (next ?? byId("list").querySelector('[href="#notices"]'))?.focus();
  }

  #keyed(event) {
    const dismiss = event.target.closest(".card")?.querySelector(".icon-button");
    if (event.key !== "Escape" || !dismiss) return;
    event.stopPropagation();
    dismiss.click();
  }

  /** @param {Notice} notice */
  #item(notice) {
    const expanded = this.#expanded.has(keyOf(notice));
    const { opened, title, mailbox, ts } = notice;
    const toggle = () => this.#toggle(notice);
    const state = opened ? null : h("span.dot", { role: "img", "aria-label": "not opened" });
    const head = h(
      "button.item-head",
      { type: "button", "aria-expanded": String(expanded), onclick: toggle },
      h("span.item-title", { dir: "auto" }, title, state),
      h("span.card-source", {}, h("span", {}, channel(mailbox)), h("time", {}, when(ts))),
    );
    const follow = () => this.#notices.open(notice);
    const build = () =>
      h(
        `li.item.${notice.priority}${expanded ? ".expanded" : ""}`,
        {},
        h("h3", {}, head),
        h("p.card-words", { dir: "auto" }, words(notice)),
        expanded && link(notice, follow),
      );
    return {
      key: keyOf(notice),
      signature: JSON.stringify([expanded, opened, when(ts)]),
      build,
    };
  }

  #toggle(notice) {
    const key = keyOf(notice);
    if (!this.#expanded.delete(key)) this.#expanded.add(key);
    this.#notices.open(notice);
    this.render();
  }
}
