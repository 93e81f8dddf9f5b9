/** What stands in a conversation: messages and the lines between them. */

import { h, icon } from "./dom.js";
import { avatar, linked, text, time, tone } from "./format.js";

const MARKS = {
  pending: ["clock", "Waiting to be sent"],
  sent: ["check", "Sent"],
  failed: ["alert", "Not sent"],
};

/**
 * @param {string} key
 * @param {string} words
 * @param {'day' | 'unread'} [style]
 * @returns {import('./dom.js').Item}
 */
export function separator(key, words, style = "day") {
  const build = () => h(`li.separator.${style}`, {}, h("span", {}, words));
  return { key, signature: words, build };
}

/**
 * @param {object} message
 * @param {string} message.id
 * @param {string} message.from
 * @param {number} message.ts ms since 1970
 * @param {any} [message.body]
 * @param {boolean} [message.recalled]
 * @param {boolean} message.own
 * @param {boolean} [message.follows] the one before has the same author
 * @param {'pending' | 'sent' | 'failed' | ''} message.mark
 * @param {HTMLElement | false} [message.action] a button beside it
 * @param {HTMLElement | false} [message.below]
 */
export function bubble({ id, from, own, mark, action, below, follows, ...content }) {
  const style = [own ? "own" : "other", follows && "follows", content.recalled && "recalled"];
  return h(
    `li.message.${style.filter(Boolean).join(".")}`,
    { "data-id": id, "data-state": mark || null, tabindex: action ? -1 : null },
    !own && avatar(from),
    // What it says decides its direction, not who says it and when.
    h("div.bubble", { dir: "auto" }, author(from, own), words(content), meta(content, mark), action),
    below,
  );
}

/**
 * What to do about a message that was refused.
 * @param {{id: string, reason: string}} message
 * @param {import('./outbox.js').Outbox} outbox
 */
export function failure({ id, reason }, outbox) {
  return h(
    "div.failed",
    {},
    h("span", {}, `Not sent: ${reason}`),
    h("button.link", { type: "button", onclick: () => outbox.retry(id) }, "Retry"),
    h("button.link", { type: "button", onclick: () => outbox.drop(id) }, "Discard"),
  );
}

function author(from, own) {
  const ltr = { dir: "ltr" };
  return own ? h("span.hidden", ltr, "You") : h(`span.author.${tone(from)}`, ltr, from);
}

function words({ body, recalled }) {
  return h("p.text", {}, ...(recalled ? ["Message recalled"] : linked(text(body))));
}

function meta({ ts }, mark) {
  const at = h("time", { datetime: new Date(ts).toISOString() }, time(ts));
  return h("span.meta", { dir: "ltr" }, at, mark && sign(mark));
}

/** How a message is getting on. @param {'pending' | 'sent' | 'failed'} mark */
export function sign(mark) {
  const [name, words] = MARKS[mark];
  return h(`span.mark.${mark}`, { title: words, role: "img", "aria-label": words }, icon(name));
}
