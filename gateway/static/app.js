/** The page: logs a user in and puts the parts together. */

import { Chat, peer } from "./chat.js";
import { Client } from "./client.js";
import { confirm, members, newConversation, prepareDialogs, toast } from "./dialogs.js";
import { byId } from "./dom.js";
import { forget, login, remember, remembered } from "./login.js";
import { Outbox } from "./outbox.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { Thread } from "./thread.js";

const NOTICES = {
  4501: "The server does not accept this log-in. Please log in again.",
  4502: "Your log-in has expired. Please log in again.",
};
const NOTICE = "readcast.notice";
const OUTBOX = "readcast.outbox";

prepareDialogs();
addEventListener("unhandledrejection", (event) => {
  toast(event.reason?.message ?? "Something went wrong.");
  event.preventDefault();
});

let session = remembered();
if (!session) {
  session = await login(sessionStorage.getItem(NOTICE) ?? "");
  sessionStorage.removeItem(NOTICE);
  remember(session);
}
run(session);

/** @param {import('./login.js').Session} session */
function run({ user, token }) {
  const store = new Store(user);
  const client = new Client({ url: socketUrl(), token, since: () => store.since() });
  const outbox = new Outbox({
    client,
    entries: JSON.parse(sessionStorage.getItem(OUTBOX) ?? "[]"),
    save: (entries) => sessionStorage.setItem(OUTBOX, JSON.stringify(entries)),
    changed: () => store.changed(),
  });
  const chat = new Chat({ client, store, outbox });
  const sidebar = new Sidebar({ client, store });
  const thread = new Thread({ store, chat, outbox, confirm });
  let current = null;

  const show = () => {
    const wanted = addressed(store);
    if (wanted === current) return;
    const left = current;
    current = wanted;
    byId("app").dataset.screen = current ? "thread" : "list";
    chat.show(current);
    thread.show(current);
    sidebar.render(current);
    if (current) thread.focus();
    else byId("list").querySelector(left ? `[href="#${CSS.escape(left)}"]` : "a")?.focus();
  };
  store.onChange(() => {
    show();
    sidebar.render(current);
    thread.render();
  });
  addEventListener("hashchange", show);

  const open = (mailbox) => {
    location.hash = mailbox;
  };
  byId("back").onclick = () => open("");
  byId("new").onclick = () => newConversation(chat, open);
  byId("people").onclick = () => members(chat, current);
  byId("logout").onclick = () => logOut(client);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && current && !document.querySelector("dialog[open]")) open("");
  });

  followNetwork(client);
  client.on("event", (event, request) => {
    if (event.op === "error" && !request && !event.mailbox) toast(event.message);
  });
  client.on("state", ({ name, code, reason }) => {
    if (name !== "closed") return;
    logOut(client, NOTICES[code] ?? `The server closed the connection: ${reason || code}.`);
  });
  byId("app").hidden = false;
  client.open();
}

function socketUrl() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url.href;
}

/** The conversation in the address, if the user has it. @param {Store} store */
function addressed(store) {
  const mailbox = decodeURIComponent(location.hash.slice(1));
  if (store.get(mailbox)) return mailbox;
  if (!store.synced || !isDirectWith(mailbox, store.user)) return null;
  store.draft(mailbox);
  return mailbox;
}

function isDirectWith(mailbox, user) {
  if (!/^direct:[\w.-]{1,64}~[\w.-]{1,64}$/.test(mailbox)) return false;
  const other = peer(mailbox, user);
  return other !== user && mailbox.split(/[:~]/).includes(user);
}

/** @param {Client} client */
function followNetwork(client) {
  addEventListener("offline", () => client.networkLost());
  addEventListener("online", () => client.networkBack());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") client.probe();
  });
}

/** @param {Client} client @param {string} [notice] */
function logOut(client, notice = "") {
  client.close();
  forget();
  if (notice) sessionStorage.setItem(NOTICE, notice);
  location.replace(location.pathname);
}
