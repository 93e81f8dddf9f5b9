/** Looking at a publish as a certain user would. */

import { card } from "./cards.js";
import { json } from "./console-form.js";
import { byId, h } from "./dom.js";

const WHY = {
  listed: (user) => `${user} is listed.`,
  percent: (user) => `${user} is among the released percentage.`,
  audience: (user) => `${user} is not in the audience.`,
  "not yet": (user) => `It has not been released as far as ${user} yet.`,
  withdrawn: () => "It is withdrawn: nobody sees it.",
  expired: () => "It has expired: nobody sees it.",
};

/**
 * @param {object} parts
 * @param {import('./console-desk.js').Desk} parts.desk
 * @param {() => import('./console-desk.js').Publish} parts.current the publish on the screen
 */
export function prepareLook({ desk, current }) {
  byId("look").onsubmit = async (event) => {
    event.preventDefault();
    clearLook();
    try {
      const claims = json(byId("look-claims").value) ?? {};
      const user = byId("look-user").value.trim();
      show(user, await desk.preview(current(), user, claims));
    } catch (error) {
      byId("look-error").textContent = error.message;
    }
  };
}

export function clearLook() {
  byId("look-error").textContent = "";
  byId("look-result").replaceChildren();
}

function show(user, { why, reached, notice }) {
  const verdict = reached === null ? `${user} does not see it.` : `${user} sees it, from entry #${reached} on.`;
  const reason = WHY[why]?.(user) ?? why;
  const words = h("p", {}, h("strong", {}, verdict), ` ${reason}`);
  byId("look-result").replaceChildren(words, ...(notice ? [card(notice)] : []));
}
