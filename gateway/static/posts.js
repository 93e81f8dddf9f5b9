/** How a post looks, and the form in which its author changes it. */

import { h, icon, isComposing } from "./dom.js";
import { avatar, linked, text, tone, when } from "./format.js";

/** @typedef {import('./feed.js').Post} Post */

/** What a post may be now, and the words for it. */
const STATES = { live: "Live", replay: "Replay", ended: "Ended" };

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** The address of an author's page. @param {string} author */
export const pageOf = (author) => `author/${author}`;

const nameOf = (state) => STATES[state] ?? state;

/**
 * @param {Post} post
 * @param {{edit: () => void, remove: () => void, mark: (state: string | null) => Promise<any>} | false} actions
 *   what the user may do to an own post
 * @returns {HTMLElement}
 */
export function postCard(post, actions) {
  return h(
    `article.post${actions ? ".own" : ""}`,
    { tabindex: 0, "aria-setsize": -1, "aria-label": `${post.author}, ${when(post.ts)}` },
    head(post),
    h("p.text", { dir: "auto" }, ...linked(text(post.body))),
    actions && tools(post, actions),
  );
}

/**
 * A post whose text is being changed.
 * @param {Post} post
 * @param {{save: (words: string) => void, cancel: () => void}} actions
 */
export function postEditor(post, { save, cancel }) {
  const field = h("textarea", { "aria-label": "Text of the post", rows: 3, dir: "auto" });
  field.value = text(post.body);
  const submit = (event) => {
    event.preventDefault();
    if (field.value.trim()) save(field.value.trim());
  };
  const keyed = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
    if (event.key !== "Escape" || isComposing(event)) return;
    event.stopPropagation();
    cancel();
  };
  const buttons = h(
    "footer",
    {},
    h("button.plain", { type: "button", onclick: cancel }, "Cancel"),
    h("button.primary", { type: "submit" }, "Save"),
  );
  const form = h("form.post-editor", { onsubmit: submit, onkeydown: keyed }, field, buttons);
  return h("article.post.own", { "aria-label": "Change the post" }, head(post), form);
}

/** A field that chooses among states. @param {HTMLSelectElement} field @param {string} [state] */
export function fillStates(field, state = "") {
  const known = Object.keys(STATES);
  const names = state && !known.includes(state) ? [...known, state] : known;
  const option = (value, words) => h("option", { value, selected: value === state }, words);
  field.replaceChildren(option("", "No state"), ...names.map((name) => option(name, nameOf(name))));
}

function head({ author, ts, state, edited }) {
  return h(
    "header",
    {},
    h(
      "a.post-author",
      { href: `#${pageOf(author)}` },
      avatar(author),
      h(`span.author.${tone(author)}`, {}, author),
    ),
    h(
      "span.post-when",
      {},
      h("time", { datetime: new Date(ts).toISOString(), title: exact.format(ts) }, when(ts)),
      edited && h("span", { title: exact.format(edited) }, "edited"),
    ),
    state && badge(state),
  );
}

function badge(state) {
  const style = state in STATES ? `.${state}` : "";
  return h(`span.post-state${style}`, {}, nameOf(state));
}

function tools({ state }, { edit, remove, mark }) {
  const choose = async () => {
    try {
      await mark(field.value || null);
    } catch (error) {
      field.value = state ?? "";
      throw error;
    }
  };
  const field = h("select", { "aria-label": "State of the post", onchange: choose });
  fillStates(field, state ?? "");
  return h(
    "footer",
    {},
    field,
    tool("edit", "Edit", edit),
    tool("bin", "Delete", remove),
  );
}

function tool(symbol, name, onclick) {
  return h("button.post-tool", { type: "button", onclick }, icon(symbol), name);
}
