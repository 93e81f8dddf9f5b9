/** What every page does around its parts: log somebody in, connect them, show who they are and how the connection is. */

import { refusal, showConnection } from "./connection.js";
import { prepareDialogs, toast } from "./dialogs.js";
import { byId } from "./dom.js";
import { avatar } from "./format.js";
import { logIn, logOut } from "./login.js";
import { furnish } from "./shell.js";

/**
 * @param {import('./shell.js').Words} words
 * @param {(session: import('./login.js').Session) => void} run puts the parts of the page together
 */
export async function start(words, run) {
  furnish(words);
  prepareDialogs();
  addEventListener("unhandledrejection", (event) => {
    toast(event.reason?.message ?? "Something went wrong.");
    event.preventDefault();
  });
  run(await logIn());
}

/**
 * Connect, once all parts of the page listen.
 * @param {import('./readcast.js').Client} client
 * @param {string} user
 * @param {string} [offlineHint] what becomes of what is done without a network
 */
export function connect(client, user, offlineHint = "") {
  byId("me-name").textContent = user;
  byId("me-avatar").replaceChildren(avatar(user));
  byId("logout").onclick = () => logOut(client);
  showConnection(client, offlineHint);
  client.on("state", (state) => state.name === "closed" && logOut(client, refusal(state)));
  byId("app").hidden = false;
  client.open();
}
