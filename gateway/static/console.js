/** The operators' console: logs an operator in and puts the parts together. */

import { Client } from "./client.js";
import { followNetwork, refusal, showConnection, socketUrl } from "./connection.js";
import { Desk } from "./console-desk.js";
import { ConsoleForm } from "./console-form.js";
import { renderList } from "./console-list.js";
import { clearLook, prepareLook } from "./console-look.js";
import { ConsolePublish } from "./console-publish.js";
import { ConsoleTrail } from "./console-trail.js";
import { confirm, prepareDialogs, toast } from "./dialogs.js";
import { byId } from "./dom.js";
import { avatar } from "./format.js";
import { logOut, session } from "./login.js";

prepareDialogs();
addEventListener("unhandledrejection", (event) => {
  toast(event.reason?.message ?? "Something went wrong.");
  event.preventDefault();
});

run(await session());

/** @param {import('./login.js').Session} session */
function run({ user, token }) {
  const client = new Client({ url: socketUrl(), token });
  const desk = new Desk({
    client,
    changed: () => render(),
    refused: ({ message }) => logOut(client, `${message}.`),
  });
  const form = new ConsoleForm({ desk, published: (key) => (location.hash = key) });
  const publish = new ConsolePublish({ desk, confirm });
  const trail = new ConsoleTrail({ desk });
  prepareLook({ desk, current: () => desk.get(current) });
  /** @type {string | null} the publish on the screen, or `new` */
  let current = null;

  const show = () => {
    const wanted = addressed(desk);
    if (wanted === current) return;
    const left = current;
    current = wanted;
    byId("app").dataset.screen = current ? "thread" : "list";
    byId("compose").hidden = current !== "new";
    byId("publish").hidden = !desk.get(current);
    publish.show(current);
    clearLook();
    if (current === "new") form.focus();
    else if (!current) byId("list").querySelector(`[href="#${CSS.escape(left)}"]`)?.focus();
  };
  const render = () => {
    show();
    renderList(desk, current);
    form.suggest();
    publish.render();
    if (desk.get(current)) trail.render(desk.get(current));
  };
  addEventListener("hashchange", render);
  addEventListener("resize", () => publish.render());
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) location.hash = "";
  });

  byId("me-name").textContent = user;
  byId("me-avatar").replaceChildren(avatar(user));
  byId("logout").onclick = () => logOut(client);
  followNetwork(client);
  showConnection(client, "");
  client.on("state", (state) => state.name === "closed" && logOut(client, refusal(state)));
  byId("app").hidden = false;
  client.open();
}

/** The publish in the address, if there is such a one, or `new`. @param {Desk} desk */
function addressed(desk) {
  const key = decodeURIComponent(location.hash.slice(1));
  return key === "new" || desk.get(key) ? key : null;
}
