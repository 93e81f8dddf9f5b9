/** The operators' console: logs an operator in and puts the parts together. */

import { Desk } from "./console-desk.js";
import { ConsoleForm } from "./console-form.js";
import { renderList } from "./console-list.js";
import { clearLook, prepareLook } from "./console-look.js";
import { ConsolePublish } from "./console-publish.js";
import { ConsoleTrail } from "./console-trail.js";
import { confirm } from "./dialogs.js";
import { byId, fragment, h, isComposing } from "./dom.js";
import { logOut } from "./login.js";
import { Client } from "./readcast.js";
import { connect, start } from "./session.js";

await start(
  {
    title: "Readcast console",
    question: "Who operates today?",
    hint: ["What you publish comes up on ", h("a", { href: "." }, "the chat page"), "."],
    tokenHint: [
      "A token with the role operator: ",
      h("code", {}, "faust -A streams token --user op --role operator"),
      " prints one.",
    ],
  },
  run,
);

/** @param {import('./login.js').Session} session */
function run({ user, token }) {
  const client = new Client({ user, token });
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
    if (event.key !== "Escape" || isComposing(event) || document.querySelector("dialog[open]")) return;
    location.hash = "";
  });

  connect(client, user);
}

/** The publish in the address, if there is such a one, or `new`. @param {Desk} desk */
function addressed(desk) {
  const key = fragment();
  return key === "new" || desk.get(key) ? key : null;
}
