/** The page: logs a user in and puts the parts together. */

import { Chat, peer } from "./chat.js";
import { Client } from "./client.js";
import { socketUrl } from "./connection.js";
import { confirm, members, newConversation, toast } from "./dialogs.js";
import { byId } from "./dom.js";
import { Noticeboard } from "./noticeboard.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { connect, start } from "./session.js";
import { Shown } from "./shown.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { Thread } from "./thread.js";

const OUTBOX = "readcast.outbox";

await start(run);

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
  const notices = new Notices({
    client,
    shown: new Shown(user),
    looking: () => document.visibilityState === "visible",
    changed: () => store.changed(),
  });
  const sidebar = new Sidebar({ store, notices });
  const thread = new Thread({ store, chat, outbox, confirm });
  const open = (address) => {
    location.hash = address;
  };
  const board = new Noticeboard({ notices, goToList: () => open("notices") });
  let current = null;

  const show = () => {
    const wanted = addressed(store);
    if (wanted === current) return;
    const left = current;
    current = wanted;
    byId("app").dataset.screen = current ? "thread" : "list";
    chat.show(current);
    thread.show(current);
    board.show(current === "notices");
    sidebar.render(current);
    if (current) (current === "notices" ? board : thread).focus();
    else byId("list").querySelector(left ? `[href="#${CSS.escape(left)}"]` : "a")?.focus();
  };
  store.onChange(() => {
    show();
    sidebar.render(current);
    thread.render();
    board.render();
  });
  addEventListener("hashchange", show);

  byId("back").onclick = byId("notices-back").onclick = () => open("");
  byId("new").onclick = () => newConversation(chat, open);
  byId("people").onclick = () => members(chat, current);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && current && !document.querySelector("dialog[open]")) open("");
  });

  client.on("event", (event, request) => {
    if (event.op === "error" && !request && !event.mailbox) toast(event.message);
  });
  connect(client, user, ". What you write is sent when you are back.");
}

/** The conversation in the address, if the user has it, or `notices`. @param {Store} store */
function addressed(store) {
  const mailbox = decodeURIComponent(location.hash.slice(1));
  if (mailbox === "notices") return store.synced ? mailbox : null;
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
