/** Dialogs: a new conversation, the members of a group, an author to follow, a question; and short notices. */

import { byId, h } from "./dom.js";
import { avatar } from "./format.js";

const TOAST_MS = 5_000;
const KINDS = {
  direct: ["User name", "Start"],
  create: ["Group name", "Create"],
  join: ["Group name", "Join"],
};
/** In the words of the form, why a group is neither made nor joined. */
const REFUSALS = {
  conflict: "There is a group of this name already: choose another name.",
  not_found: "There is no group of this name.",
};

let toastTimer;

/** @param {string} words */
export function toast(words) {
  clearTimeout(toastTimer);
  byId("toast").textContent = words;
  byId("toast").hidden = false;
  toastTimer = setTimeout(() => (byId("toast").hidden = true), TOAST_MS);
}

/**
 * @param {{title: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes }) {
  const dialog = byId("confirm-dialog");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

/** Close buttons and a click beside the dialog close it, as Escape does. */
export function prepareDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    let pressedBeside = false;
    dialog.addEventListener("pointerdown", (event) => (pressedBeside = isBeside(dialog, event)));
    dialog.addEventListener("click", (event) => {
      // Who marks a text and lets go beside the dialog has not clicked there.
      const beside = pressedBeside && isBeside(dialog, event);
      if (beside || event.target.closest("[data-close]")) dialog.close();
    });
  }
}

/** Whether the pointer is on what lies around the dialog, and not on its own margin. */
function isBeside(dialog, { target, clientX: x, clientY: y }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (x < left || x > right || y < top || y > bottom);
}

/**
 * @param {import('./chat.js').Chat} chat
 * @param {(mailbox: string) => void} opened
 */
export function newConversation(chat, opened) {
  const form = byId("new-form");
  form.reset();
  chooseKind("direct");
  form.onchange = ({ target }) => target.name === "kind" && chooseKind(target.value);
  form.onsubmit = (event) =>
    attempt(
      event,
      "new-error",
      async () => {
        const mailbox = await begin(chat, form.elements.kind.value);
        byId("new-dialog").close();
        opened(mailbox);
      },
      REFUSALS,
    );
  byId("new-dialog").showModal();
  byId("new-name").focus();
}

function chooseKind(kind) {
  const [label, action] = KINDS[kind];
  byId("new-name-label").textContent = label;
  byId("new-submit").textContent = action;
  byId("new-group").hidden = kind !== "create";
  byId("new-error").textContent = "";
}

async function begin(chat, kind) {
  const name = byId("new-name").value.trim();
  if (kind === "direct") return chat.startDirect(name);
  const mailbox = `group:${name}`;
  if (kind === "join") await chat.join(mailbox);
  else {
    const members = byId("new-members").value.split(/[\s,]+/).filter(Boolean);
    await chat.createGroup(mailbox, { members, open: byId("new-open").checked });
  }
  return mailbox;
}

/**
 * @param {import('./chat.js').Chat} chat
 * @param {string} mailbox
 */
export function members(chat, mailbox) {
  const dialog = byId("people-dialog");
  const list = byId("people-list");
  const load = async (after) => {
    const answer = await chat.members(mailbox, after);
    if (list.dataset.of !== mailbox) return;
    if (!after) list.replaceChildren();
    // Whoever clicks twice asks for a page twice.
    const last = list.lastElementChild?.dataset.user ?? "";
    list.append(...answer.members.filter(({ user }) => user > last).map(person));
    byId("people-more").hidden = !answer.more;
    byId("people-more").onclick = () => load(answer.members.at(-1).user);
  };
  byId("people-form").onsubmit = (event) =>
    attempt(event, "people-error", async () => {
      await chat.add(mailbox, [byId("people-name").value.trim()]);
      byId("people-form").reset();
      await load();
    });
  byId("people-leave").onclick = async (event) => {
    const yes = await confirm({
      title: "Leave this group?",
      text: "You no longer get its messages.",
      yes: "Leave",
    });
    if (!yes) return;
    await attempt(event, "people-error", async () => {
      await chat.leave(mailbox);
      dialog.close();
    });
  };
  list.dataset.of = mailbox;
  list.replaceChildren();
  dialog.showModal();
  byId("people-name").focus();
  attempt(null, "people-error", load);
}

/**
 * @param {import('./authors.js').Authors} authors
 * @param {(author: string) => void} followed
 */
export function followSomebody(authors, followed) {
  const form = byId("follow-form");
  form.reset();
  form.onsubmit = (event) =>
    attempt(event, "follow-error", async () => {
      const author = byId("follow-name").value.trim();
      await authors.follow(author);
      byId("follow-dialog").close();
      followed(author);
    });
  byId("follow-error").textContent = "";
  byId("follow-dialog").showModal();
  byId("follow-name").focus();
}

function person({ user, role }) {
  const rank = role && role !== "member" ? h("span.rank", {}, role) : null;
  return h("li", { "data-user": user }, avatar(user), h("span", {}, user), rank);
}

/** Do what a form asks for, and say in the form why it failed: for some codes in words of its own. */
async function attempt(event, errorId, action, words = {}) {
  event?.preventDefault();
  byId(errorId).textContent = "";
  try {
    await action();
  } catch (error) {
    byId(errorId).textContent = words[error.code] ?? error.message;
  }
}
