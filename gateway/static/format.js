/** How things are written: names, times, text with links. */

import { h } from "./dom.js";
import { peer } from "./chat.js";

const DAY_MS = 86_400_000;
const TONES = 10;
const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat("en", { weekday: "long" });
const date = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const fullDate = new Intl.DateTimeFormat("en", { day: "numeric", month: "long", year: "numeric" });

const midnight = (ts) => new Date(ts).setHours(0, 0, 0, 0);
const daysAgo = (ts) => Math.round((midnight(Date.now()) - midnight(ts)) / DAY_MS);

/** @param {number} ts ms since 1970 */
export const time = (ts) => clock.format(ts);

/** A separator between days. @param {number} ts */
export function day(ts) {
  const days = daysAgo(ts);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days > 0 && days < 7 ? weekday.format(ts) : fullDate.format(ts);
}

/** When, in a list. @param {number} ts */
export function when(ts) {
  const days = daysAgo(ts);
  if (days <= 0) return time(ts);
  if (days === 1) return "Yesterday";
  return days < 7 ? weekday.format(ts) : date.format(ts);
}

/** @param {string} mailbox @param {string} user who looks */
export function title(mailbox, user) {
  if (mailbox.startsWith("direct:")) return peer(mailbox, user);
  const name = mailbox.slice(mailbox.indexOf(":") + 1);
  return mailbox.startsWith("user:") ? "For you" : name;
}

/** What a message says, whatever its body is. @param {any} body @returns {string} */
export function text(body) {
  if (typeof body === "string") return body;
  return typeof body?.text === "string" ? body.text : JSON.stringify(body);
}

/** Text with its web addresses as links. @param {string} source @returns {(Node | string)[]} */
export function linked(source) {
  const parts = [];
  let end = 0;
  for (const { 0: address, index } of source.matchAll(LINK)) {
    parts.push(source.slice(end, index), link(address));
    end = index + address.length;
  }
  return [...parts, source.slice(end)];
}

function link(address) {
  if (!URL.canParse(address)) return address;
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address);
}

/** A colour class that stays the same for a name. @param {string} name */
export function tone(name) {
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193) >>> 0;
  return `tone-${hash % TONES}`;
}

/** @param {string} name @param {'person' | 'group'} [kind] */
export function avatar(name, kind = "person") {
  const colour = tone(kind === "group" ? `group ${name}` : name);
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const initials = words.length > 1 ? words[0][0] + words[1][0] : name.slice(0, 2);
  return h(`span.avatar.${kind}.${colour}`, { "aria-hidden": "true" }, initials.toUpperCase());
}

/** @param {number} count @param {string} noun */
export const plural = (count, noun) =>
  `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** @param {string} mailbox @returns {'person' | 'group'} */
export const kind = (mailbox) => (mailbox.startsWith("group:") ? "group" : "person");
