/** How every page shows its connection. */

import { announce, byId } from "./dom.js";

const REFUSALS = {
  4501: "The server does not accept this log-in. Please log in again.",
  4502: "Your log-in has expired. Please log in again.",
};

/** Why the gateway closed for good. @param {import('./readcast.d.ts').State} state */
export const refusal = ({ code, reason }) =>
  REFUSALS[code] ?? `The server closed the connection: ${reason || code}.`;

/**
 * Show how the connection is, and a banner while it is lost.
 * @param {import('./readcast.js').Client} client
 * @param {string} offlineHint what becomes of what is done without a network
 */
export function showConnection(client, offlineHint) {
  let ticking;
  byId("banner-retry").onclick = () => client.retryNow();
  client.on("state", (state) => {
    clearInterval(ticking);
    byId("app").dataset.connection = state.name;
    const before = byId("banner").hidden;
    const calm = state.name === "connected" || (state.name === "connecting" && before);
    if (calm !== before) announce(calm ? "Connected" : "Connection lost");
    const paint = () => {
      const words = describe(state);
      byId("connection").textContent = words;
      byId("banner-text").textContent = words + (state.name === "offline" ? offlineHint : "");
      byId("banner").hidden = calm;
      byId("banner-retry").hidden = state.name !== "waiting";
    };
    paint();
    if (state.name === "waiting") ticking = setInterval(paint, 250);
  });
}

/** @param {import('./readcast.d.ts').State} state */
function describe({ name, retryAt }) {
  if (name === "connected") return "Connected";
  if (name === "connecting") return "Connecting…";
  if (name === "offline") return "Offline";
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
}
