/** How a public notice looks: as a card that comes up, and its text and link wherever it stands. */

import { h, icon } from "./dom.js";
import { text, when } from "./format.js";

/** @typedef {import('./notices.js').Notice} Notice */

/** @param {string} mailbox */
export const channel = (mailbox) => mailbox.slice(mailbox.indexOf(":") + 1);

/** @param {Notice} notice @returns {string} */
export function words({ body }) {
  return body?.link && typeof body.text !== "string" ? "" : text(body);
}

/** @param {Notice} notice @param {() => void} [follow] called when it is clicked */
export function link({ body }, follow) {
  const address = secure(body?.link);
  if (!address) return null;
  const props = { href: address.href, target: "_blank", rel: "noopener noreferrer", onclick: follow };
  return h("a.card-link", props, address.host, icon("out"));
}

/** @param {any} address @returns {URL | null} null unless it is a web address with TLS */
export function secure(address) {
  if (typeof address !== "string" || !URL.canParse(address)) return null;
  const url = new URL(address);
  return url.protocol === "https:" ? url : null;
}

/**
 * @param {Notice} notice
 * @param {object} actions left out where the card only shows how it will look
 * @param {() => void} [actions.open]
 * @param {() => void} [actions.dismiss]
 * @param {() => void} [actions.follow] its link is followed
 */
export function card(notice, { open, dismiss, follow } = {}) {
  const { mailbox, title, ts, priority } = notice;
  return h(
    `article.card.${priority}`,
    { "aria-label": `Notice: ${title}` },
    h("span.card-mark", {}, icon("bell")),
    h(
      "div.card-text",
      {},
      h("p.card-source", {}, h("span", {}, channel(mailbox)), h("time", {}, when(ts))),
      h("h3", { dir: "auto" }, title),
      h("p.card-words", { dir: "auto" }, words(notice)),
      h(
        "footer",
        {},
        link(notice, follow),
        h("button.link", { type: "button", onclick: open, disabled: !open }, "Open"),
      ),
    ),
    h(
      "button.icon-button",
      { type: "button", "aria-label": "Dismiss", title: "Dismiss", onclick: dismiss, disabled: !dismiss },
      icon("close"),
    ),
  );
}
