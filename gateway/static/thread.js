/** The open conversation: its messages, where it is scrolled to, and the composer. */

import { bubble, failure, separator } from "./bubbles.js";
import { announce, byId, fit, h, icon, isComposing, keepingPlace, reconcile } from "./dom.js";
import { Drafts } from "./drafts.js";
import { avatar, day, kind, plural, text, title } from "./format.js";

/** Messages of one author within this time stand together. */
const GROUP_MS = 5 * 60_000;
/** A sender may take a message back within this time, an admin always. */
const RECALL_MS = 2 * 60_000;
/** Closer to the end than this counts as being there. */
const END_PX = 48;
/** Older messages are fetched when this close to the beginning. */
const OLDER_PX = 400;

export class Thread {
  #store;
  #chat;
  #outbox;
  #confirm;
  #drafts;
  /** @type {string | null} */
  #mailbox = null;
  #atEnd = true;
  /** Messages after this seq were unread when the conversation was opened. */
  #divider = Infinity;
  /** The newest message that was ever at the end of the screen. */
  #seenHigh = 0;
  #announced = 0;

  /**
   * @param {object} parts
   * @param {import('./store.js').Store} parts.store
   * @param {import('./chat.js').Chat} parts.chat
   * @param {import('./outbox.js').Outbox} parts.outbox
   * @param {typeof import('./dialogs.js').confirm} parts.confirm
   */
  constructor({ store, chat, outbox, confirm }) {
    this.#store = store;
    this.#chat = chat;
    this.#outbox = outbox;
    this.#confirm = confirm;
    this.#drafts = new Drafts(store.user);
    byId("scroll").onscroll = () => this.#scrolled();
    byId("pill").onclick = () => this.#toEnd();
    byId("composer").onsubmit = (event) => this.#submit(event);
    byId("text").onkeydown = (event) => this.#typed(event);
    byId("messages").onkeydown = step;
    byId("text").oninput = () => this.#drafted();
    document.addEventListener("visibilitychange", () => this.#settle());
    new ResizeObserver(() => this.#atEnd && this.#toEnd()).observe(byId("scroll"));
  }

  /** @param {string | null} mailbox */
  show(mailbox) {
    this.#mailbox = mailbox;
    this.#atEnd = true;
    const conversation = this.#store.get(mailbox);
    this.#divider = conversation?.unread ? conversation.cursor : Infinity;
    this.#seenHigh = this.#announced = conversation?.head ?? 0;
    byId("messages").replaceChildren();
    byId("text").value = this.#drafts.get(mailbox);
    this.render();
    fit(byId("text"));
    this.#toEnd();
  }

  /** Where there is a keyboard on the screen, it stays down until it is asked for. */
  focus() {
    const typing = matchMedia("(hover: hover)").matches;
    byId(typing ? "text" : "scroll").focus();
  }

  render() {
    const conversation = this.#store.get(this.#mailbox);
    byId("open").hidden = !conversation;
    if (!conversation) return;
    this.#head(conversation);
    this.#older(conversation);
    this.#keepingPlace(() => reconcile(byId("messages"), this.#items(conversation)));
    this.#announce(conversation);
    this.#settle();
  }

  #head({ mailbox, memberCount, closed, epoch }) {
    const name = title(mailbox, this.#store.user);
    const group = kind(mailbox) === "group";
    const subtitle = group ? plural(memberCount, "member") : "Direct chat";
    byId("thread-title").textContent = name;
    byId("thread-subtitle").textContent = closed ? `${subtitle}, closed` : subtitle;
    if (byId("thread-avatar").dataset.of !== mailbox) {
      byId("thread-avatar").dataset.of = mailbox;
      byId("thread-avatar").replaceChildren(avatar(name, kind(mailbox)));
    }
    byId("people").hidden = !group || !epoch;
    byId("composer").hidden = mailbox.startsWith("user:");
    byId("text").disabled = byId("send").disabled = Boolean(closed);
    byId("text").placeholder = closed ? "This group is closed" : `Write to ${name}`;
  }

  #older({ loaded, loading, locked, more, messages }) {
    let words = "The beginning of this conversation";
    if (locked) words = "You may not read this conversation";
    else if (loading || !loaded) words = "Loading…";
    else if (more) words = "";
    else if (!messages.length) words = "Nothing here yet. Say hello.";
    byId("older").textContent = words;
  }

  #items(conversation) {
    const items = [];
    const recallable = (message) => this.#mayRecall(conversation, message);
    const { messages, more } = conversation;
    const newest = messages.findLast(recallable);
    let undivided = !more || messages[0]?.seq <= this.#divider;
    let before;
    for (const message of messages) {
      if (!before || day(before.ts) !== day(message.ts)) {
        items.push(separator(`day-${message.seq}`, day(message.ts)));
        before = undefined;
      }
      if (undivided && message.seq > this.#divider) {
        undivided = false;
        items.push(separator("unread", "New messages", "unread"));
        before = undefined;
      }
      const tabStop = message === newest;
      items.push(this.#message(conversation, message, { before, tabStop }));
      before = message;
    }
    const shown = new Set(messages.map(({ id }) => id));
    const outgoing = this.#outbox.of(conversation.mailbox).filter(({ id }) => !shown.has(id));
    return [...items, ...outgoing.map((entry) => this.#outgoing(entry))];
  }

  #message(conversation, message, { before, tabStop }) {
    const own = message.from === this.#store.user;
    const follows = before?.from === message.from && message.ts - before.ts < GROUP_MS;
    const recallable = this.#mayRecall(conversation, message);
    const mark = own && !message.recalled ? "sent" : "";
    return {
      key: message.id ?? `seq-${message.seq}`,
      signature: JSON.stringify([follows, recallable, tabStop, message.recalled, mark]),
      build: () =>
        bubble({
          ...message,
          own,
          follows,
          mark,
          action: recallable && this.#recall(message, tabStop),
        }),
    };
  }

  #outgoing({ id, body, created, state, reason }) {
    return {
      key: id,
      signature: JSON.stringify([state, reason]),
      build: () =>
        bubble({
          id,
          from: this.#store.user,
          ts: created,
          body,
          own: true,
          mark: state,
          below: state === "failed" && failure({ id, reason }, this.#outbox),
        }),
    };
  }

  #mayRecall({ role }, { from, ts, recalled }) {
    if (recalled) return false;
    const own = from === this.#store.user;
    return role === "owner" || role === "admin" || (own && Date.now() - ts < RECALL_MS);
  }

  /** All of these buttons are one tab stop; arrow keys move among them. */
  #recall({ seq }, tabStop) {
    const mailbox = this.#mailbox;
    const ask = async () => {
      const yes = await this.#confirm({
        title: "Recall this message?",
        text: "Its text disappears for everybody. That it was there stays visible.",
        yes: "Recall",
      });
      if (yes) await this.#chat.recall(mailbox, seq);
    };
    const name = "Recall message";
    return h(
      "button.recall.icon-button",
      { type: "button", "aria-label": name, title: name, tabindex: tabStop ? 0 : -1, onclick: ask },
      icon("recall"),
    );
  }

  /** Change what is above without moving what is being read. */
  #keepingPlace(change) {
    if (!this.#atEnd) return keepingPlace(byId("scroll"), byId("messages"), change);
    change();
    this.#toEnd();
  }

  #toEnd() {
    byId("scroll").scrollTop = byId("scroll").scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = byId("scroll");
    this.#atEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    this.#settle();
  }

  /** What follows from where the screen stands: reading, fetching, the pill. */
  #settle() {
    const conversation = this.#store.get(this.#mailbox);
    if (!conversation) return;
    const { mailbox, loaded, more, high, messages } = conversation;
    if (loaded && this.#atEnd && document.visibilityState === "visible") {
      this.#seenHigh = Math.max(this.#seenHigh, high);
      this.#chat.read(mailbox);
    }
    if (this.#atEnd) this.#store.shrink(mailbox);
    if (more && messages.length && byId("scroll").scrollTop < OLDER_PX) {
      this.#chat.loadOlder(mailbox);
    }
    const waiting = Math.max(0, high - this.#seenHigh);
    byId("pill").hidden = this.#atEnd;
    byId("pill").classList.toggle("news", waiting > 0);
    byId("pill-text").textContent = waiting ? plural(waiting, "new message") : "Latest";
  }

  #announce({ messages, high }) {
    const fresh = messages.filter(
      ({ seq, from }) => seq > this.#announced && from !== this.#store.user,
    );
    this.#announced = Math.max(this.#announced, high);
    if (!fresh.length) return;
    const { from, body, recalled } = fresh.at(-1);
    const one = fresh.length === 1 && !recalled;
    announce(one ? `${from}: ${text(body)}` : plural(fresh.length, "new message"));
  }

  #drafted() {
    const field = byId("text");
    fit(field);
    this.#drafts.set(this.#mailbox, field.value);
  }

  #submit(event) {
    event.preventDefault();
    const words = byId("text").value.trim();
    if (!words) return;
    byId("text").value = "";
    this.#drafted();
    this.#atEnd = true;
    this.#divider = Infinity;
    this.#chat.send(this.#mailbox, words);
  }

  #typed(event) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    this.#submit(event);
  }
}

/** Arrow keys move among the messages that may be recalled. */
function step(event) {
  const direction = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!direction || !event.target.matches(".recall")) return;
  const buttons = [...byId("messages").querySelectorAll(".recall")];
  buttons[buttons.indexOf(event.target) + direction]?.focus();
  event.preventDefault();
}
