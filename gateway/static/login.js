/** Who the user is: the log-in screen, and what is remembered for this tab. */

import { byId, h } from "./dom.js";
import { avatar } from "./format.js";

const KEY = "readcast.session";

/** @typedef {{user: string, token: string}} Session */

/** @returns {Session | null} */
export function remembered() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
}

/** @param {Session} session */
export function remember(session) {
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function forget() {
  sessionStorage.clear();
}

/**
 * Show the log-in screen until somebody logs in.
 * @param {string} [notice] why it is shown
 * @returns {Promise<Session>}
 */
export async function login(notice = "") {
  byId("login").hidden = false;
  show(notice);
  const users = await demoUsers();
  const session = await (users ? pickUser(users) : pasteToken());
  byId("login").hidden = true;
  return session;
}

function show(notice) {
  byId("login-notice").textContent = notice;
  byId("login-notice").hidden = !notice;
}

/** @returns {Promise<string[] | null>} null outside the demo */
async function demoUsers() {
  try {
    const answer = await fetch("demo/users");
    return answer.ok ? (await answer.json()).users : null;
  } catch {
    return null;
  }
}

function pickUser(users) {
  byId("login-users").hidden = false;
  return new Promise((resolve) => {
    const pick = (user) => demoToken(user).then(resolve, (error) => show(error.message));
    const row = (user) =>
      h("li", {}, h("button", { type: "button", onclick: () => pick(user) }, avatar(user), user));
    byId("login-list").replaceChildren(...users.map(row));
    byId("login-list").querySelector("button")?.focus();
  });
}

async function demoToken(user) {
  const answer = await fetch("demo/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (!answer.ok) throw new Error(`The server gives ${user} no token (${answer.status}).`);
  return { user, token: (await answer.json()).token };
}

function pasteToken() {
  const form = byId("login-form");
  form.hidden = false;
  byId("login-token").focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const token = byId("login-token").value.trim();
      const user = subject(token);
      if (user) resolve({ user, token });
      else show("That is not a token: it names no user.");
    };
  });
}

/** The user a token names; the gateway checks whether it is genuine. */
function subject(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(base64)).sub;
  } catch {
    return null;
  }
}
