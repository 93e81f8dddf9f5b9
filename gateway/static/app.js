/** The page: logs a user in and puts the parts together. */

import { AuthorScreen } from "./author-screen.js";
import { Authors } from "./authors.js";
import { Chat, peer } from "./chat.js";
import { confirm, members, newConversation, toast } from "./dialogs.js";
import { byId, fragment, h, isComposing } from "./dom.js";
import { FeedScreen } from "./feed-screen.js";
import { FeedSidebar } from "./feed-sidebar.js";
import { Feed } from "./feed.js";
import { Noticeboard } from "./noticeboard.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Client } from "./readcast.js";
import { connect, start } from "./session.js";
import { Shown } from "./shown.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { Thread } from "./thread.js";

/** How often what is told by the clock is looked at again: `Yesterday`, what may be recalled. */
const PASSING_MS = 15_000;

await start(
  {
    title: "Readcast",
    question: "Who are you today?",
    hint: [
      "Open a second tab to be somebody else there, or ",
      h("a", { href: "console" }, "publish a notice"),
      " to everybody.",
    ],
    tokenHint: ["A JSON Web Token from whoever runs this server."],
  },
  run,
);

/** @param {import('./login.js').Session} session */
function run({ user, token }) {
  const store = new Store(user);
  const changed = () => store.changed();
  const complete = (mailbox) => Boolean(store.get(mailbox)?.complete);
  const client = new Client({ user, token, complete });
  const outbox = new Outbox({ client, changed });
  const chat = new Chat({ client, store, outbox });
  const notices = new Notices({
    client,
    shown: new Shown(user),
    looking: () => document.visibilityState === "visible",
    // On a phone two would cover half of a conversation.
    room: () => (matchMedia("(max-width: 600px)").matches ? 1 : 2),
    changed,
  });
  const feed = new Feed({ client, changed, renewed: () => toast("The order has been made anew.") });
  const authors = new Authors({ client, user, changed, followed: () => feed.loaded && feed.renew() });
  const sidebar = new Sidebar({ store, notices });
  const feedSidebar = new FeedSidebar({ feed, user });
  const thread = new Thread({ store, chat, outbox, confirm });
  const feedScreen = new FeedScreen({ client, feed, authors, outbox, user, confirm });
  const authorScreen = new AuthorScreen({ client, authors, user, confirm, changed });
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
    byId("app").dataset.screen = !current ? "list" : current === "feed" ? "feed" : "thread";
    chat.show(current);
    thread.show(current);
    board.show(current === "notices");
    feedScreen.show(current === "feed");
    authorScreen.show(authorIn(current));
    showPart(isOfFeed(current) ? "feed" : "chats");
    renderLists();
    focus(left);
  };
  const focus = (left) => {
    const row = left && byId("list").querySelector(`[href="#${CSS.escape(left)}"]`);
    if (current) shown().focus();
    else (row ?? byId("list").querySelector("a"))?.focus();
  };
  const shown = () => {
    if (current === "notices") return board;
    if (current === "feed") return feedScreen;
    return isOfFeed(current) ? authorScreen : thread;
  };
  const renderLists = () => {
    sidebar.render(current);
    feedSidebar.render(current);
  };
  store.onChange(() => {
    show();
    renderLists();
    thread.render();
    board.render();
    feedScreen.render();
    authorScreen.render();
  });
  addEventListener("hashchange", show);
  setInterval(changed, PASSING_MS);

  byId("back").onclick = byId("notices-back").onclick = () => open("");
  byId("author-back").onclick = () => open("feed");
  byId("new").onclick = () => newConversation(chat, open);
  byId("people").onclick = () => members(chat, current);
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || isComposing(event) || document.querySelector("dialog[open]")) return;
    if (authorIn(current)) open("feed");
    else if (current !== "feed") open("");
  });

  // What a dialog was opened from may be gone: a group that was left.
  const seen = ({ activeElement: one }) => one !== document.body && one.checkVisibility();
  addEventListener("close", () => seen(document) || focus(null), { capture: true });

  client.on("event", (event, request) => {
    if (event.op === "error" && !request && !event.mailbox) toast(event.message);
  });
  connect(client, user, ". What you write is sent when you are back.");
}

/** Chats and the feed each have a list of their own. @param {'chats' | 'feed'} part */
function showPart(part) {
  byId("app").dataset.part = part;
  for (const each of ["chats", "feed"]) {
    byId(`tab-${each}`).setAttribute("aria-current", each === part ? "page" : "false");
  }
}

/**
 * The conversation in the address, if the user has it, `notices`, `feed` or an author's page.
 * @param {Store} store
 */
function addressed(store) {
  const mailbox = fragment();
  if (mailbox === "notices" || isOfFeed(mailbox)) return store.synced ? mailbox : null;
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

const isOfFeed = (address) => address === "feed" || authorIn(address) !== null;

/** @param {string | null} address @returns {string | null} whose page it is */
function authorIn(address) {
  return /^author\/([\w.-]{1,64})$/.exec(address ?? "")?.[1] ?? null;
}
