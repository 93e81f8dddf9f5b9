/** The operators' list: public mailboxes with their publishes. */

import { channel } from "./cards.js";
import { standing } from "./console-desk.js";
import { byId, h, reconcile } from "./dom.js";
import { when } from "./format.js";
import { keyOf } from "./notices.js";
import { linkItem } from "./sidebar.js";

/**
 * @param {import('./console-desk.js').Desk} desk
 * @param {string | null} current the key of the publish on the screen
 */
export function renderList(desk, current) {
  const items = desk.mailboxes.flatMap(({ mailbox }) => [
    heading(mailbox),
    ...desk.of(mailbox).map((publish) => row(desk, publish, current)),
  ]);
  reconcile(byId("list"), items);
  byId("list-empty").hidden = !desk.loaded || items.length > 0;
}

function heading(mailbox) {
  return { key: mailbox, signature: "", build: () => h("li.list-heading", {}, h("h2", {}, channel(mailbox))) };
}

function row(desk, publish, current) {
  const key = keyOf(publish);
  const { title, ts, touched } = publish;
  const { name, words } = standing(publish);
  const reached = touched === null ? "" : `${touched.toLocaleString("en")} touched`;
  const spreading = desk.progress(key);
  const bar = () => h("progress", { max: spreading.planned || 1, value: spreading.done, "aria-label": "Spreading" });
  const content = () => [
    h(
      "span.row-text",
      {},
      h("span.row-line", {}, h("span.row-name", { dir: "auto" }, title), h("span.row-time", {}, when(ts))),
      h("span.row-line", {}, h("span.row-last", {}, reached), h(`span.state.${name}`, {}, words)),
      spreading && bar(),
    ),
  ];
  const signature = [words, reached, when(ts), spreading?.done];
  return linkItem({ key, current: key === current, signature, content });
}
