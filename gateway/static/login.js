/** Who the user is: the log-in screen, and what is remembered for this tab. */

import { byId, h } from "./dom.js";
import { forgetOthers } from "./drafts.js";
import { avatar } from "./format.js";

/** The role that the tokens of this page must claim, if any. */
const role = document.body.dataset.role ?? "";
/** Pages for different roles are logged in apart. */
const KEY = role ? `readcast.session.${role}` : "readcast.session";
/** Why the log-in screen is shown again. */
const REASON = "readcast.reason";

/** @typedef {{user: string, token: string}} Session */

/** Who this tab is logged in as; if nobody is, whoever logs in. @returns {Promise<Session>} */
export async function logIn() {
  const known = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  const one = known ?? (await login());
  sessionStorage.setItem(KEY, JSON.stringify(one));
  sessionStorage.removeItem(REASON);
  return one;
}

/**
 * Forget the session and go back to the log-in screen. What was written stays unless the user asked for it.
 * @param {import('./readcast.js').Client} client
 * @param {string} [reason] shown there
 */
export function logOut(client, reason = "") {
  client.close();
  if (reason) {
    forgetOthers();
    sessionStorage.setItem(REASON, reason);
  } else sessionStorage.clear();
  location.replace(location.pathname);
}

/** Show the log-in screen until somebody logs in. */
async function login() {
  byId("login").hidden = false;
  show(sessionStorage.getItem(REASON) ?? "");
  const users = await demoUsers();
  const one = await (users ? pickUser(users) : pasteToken());
  byId("login").hidden = true;
  return one;
}

function show(notice) {
  byId("login-notice").textContent = notice;
  byId("login-notice").hidden = !notice;
}

/** Who may log in here with one click. @returns {Promise<string[] | null>} null outside the demo */
async function demoUsers() {
  try {
    const answer = await fetch("demo/users");
    if (!answer.ok) return null;
    const { users, operators } = await answer.json();
    return role ? operators : users;
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
      const { sub: user, role: claimed } = claims(token);
      if (!user) show("That is not a token: it names no user.");
      else if (role && claimed !== role) show(`This token does not claim the role ${role}.`);
      else resolve({ user, token });
    };
  });
}

/** What a token claims; the gateway checks whether it is genuine. */
function claims(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(base64));
  } catch {
    return {};
  }
}
