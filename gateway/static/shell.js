/** What every page has: the log-in screen, the banner, who is logged in, a question, short notices. */

import { byId, h, icon } from "./dom.js";

/**
 * What each page says differently.
 * @typedef {object} Words
 * @property {string} title
 * @property {string} question above the users to pick from
 * @property {(Node | string)[]} hint below them
 * @property {(Node | string)[]} tokenHint where a token comes from
 */

/** Put these parts into the page. @param {Words} words */
export function furnish(words) {
  document.body.prepend(login(words));
  byId("app").prepend(banner());
  byId("me").prepend(...who());
  byId("me").append(logout());
  document.body.append(
    question(),
    h("div.toast", { id: "toast", role: "status", hidden: true }),
    h("div.hidden", { id: "announcer", "aria-live": "polite" }),
  );
}

function login({ title, question, hint, tokenHint }) {
  const brand = h("div.brand", {}, h("span.brand-mark", {}, icon("mark")), h("h1", {}, title));
  const notice = h("p.notice", { id: "login-notice", role: "alert", hidden: true });
  const card = h("div.login-card", {}, brand, notice, users(question, hint), form(tokenHint));
  return h("main.login", { id: "login", hidden: true }, card);
}

function users(question, hint) {
  return h(
    "section",
    { id: "login-users", "aria-labelledby": "login-users-title", hidden: true },
    h("h2", { id: "login-users-title" }, question),
    h("ul.login-list", { id: "login-list" }),
    h("p.hint", {}, ...hint),
  );
}

function form(hint) {
  const field = {
    id: "login-token",
    rows: 4,
    required: true,
    spellcheck: "false",
    autocomplete: "off",
    "aria-describedby": "login-token-hint",
  };
  return h(
    "form",
    { id: "login-form", hidden: true },
    h("label", { for: "login-token" }, "Access token"),
    h("textarea", field),
    h("p.hint", { id: "login-token-hint" }, ...hint),
    h("button.primary", { type: "submit" }, "Log in"),
  );
}

function banner() {
  return h(
    "div.banner",
    { id: "banner", hidden: true },
    h("span", { id: "banner-text" }),
    h("button.link", { id: "banner-retry", type: "button" }, "Try now"),
  );
}

function who() {
  const name = h("strong", { id: "me-name" });
  const connection = h("span.connection", { id: "connection" });
  return [h("span", { id: "me-avatar" }), h("div.who", {}, name, connection)];
}

function logout() {
  const name = "Log out";
  const attributes = { id: "logout", type: "button", "aria-label": name, title: name };
  return h("button.icon-button", attributes, icon("exit"));
}

function question() {
  const labels = { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" };
  const buttons = h(
    "footer",
    {},
    h("button.plain", { value: "no" }, "Cancel"),
    h("button.danger", { id: "confirm-yes", value: "yes" }),
  );
  const title = h("h2", { id: "confirm-title" });
  const text = h("p", { id: "confirm-text" });
  const form = h("form", { method: "dialog" }, title, text, buttons);
  return h("dialog.small", { id: "confirm-dialog", ...labels }, form);
}
