/** Writing a notice: the form, its check, and how the card will look. */

import { card, secure } from "./cards.js";
import { byId } from "./dom.js";
import { plural } from "./format.js";

const FIELDS = ["mailbox", "title", "text", "link", "expires", "priority", "users", "percent", "audience"];
/** Where the gateway finds a fault, and the field in which that was typed. */
const FAULTS = [
  [/^\W*body\.link\b/, "link"],
  [/^\W*body\b|\$\.body\b/, "text"],
  [/^\W*release\.users\b|\$\.release\.users\b/, "users"],
  [/^\W*release\.percent\b|\$\.release\.percent\b/, "percent"],
  [/^\W*(mailbox|title|expires|priority|audience)\b/, null],
  [/\$\.(mailbox|title|expires|priority|audience)\b/, null],
];

/** @param {string} words names with commas or blanks between them */
export const names = (words) => words.split(/[\s,]+/).filter(Boolean);

/** @param {string} source @returns {object | null} null if there is nothing; throws with the reason */
export function json(source) {
  return source.trim() ? JSON.parse(source) : null;
}

export class ConsoleForm {
  #desk;
  #published;
  #form = byId("form");

  /**
   * @param {object} parts
   * @param {import('./console-desk.js').Desk} parts.desk
   * @param {(key: string) => void} parts.published
   */
  constructor({ desk, published }) {
    this.#desk = desk;
    this.#published = published;
    this.#form.oninput = ({ target }) => {
      this.#say(target.name, "");
      this.render();
    };
    this.#form.onsubmit = (event) => this.#submit(event);
    byId("audience-example").onclick = () => {
      const { audience } = this.#form.elements;
      audience.value = byId("audience-text").textContent;
      audience.focus();
    };
    this.render();
  }

  focus() {
    this.#form.elements.title.focus();
  }

  /** The card as users will see it, and what the button will do. */
  render() {
    const { mailbox, title, priority, users, percent } = this.#value;
    const notice = { mailbox: `public:${mailbox}`, title: title || "Title", priority, ts: Date.now(), body: this.#body };
    byId("form-card").replaceChildren(card(notice));
    const reach = [users.length && plural(users.length, "listed user"), percent && `${percent} % of all`];
    const whom = reach.filter(Boolean).join(" and ");
    byId("form-submit").textContent = whom ? `Publish to ${whom}` : "Publish to nobody yet";
  }

  /** Offer the mailboxes there are. */
  suggest() {
    const known = this.#desk.mailboxes.map(({ mailbox }) => mailbox.replace("public:", ""));
    const options = known.map((name) => new Option(name, name));
    byId("mailboxes").replaceChildren(...options);
  }

  get #value() {
    const { elements } = this.#form;
    const value = (name) => elements[name].value.trim();
    return {
      mailbox: value("mailbox"),
      title: value("title"),
      text: value("text"),
      link: value("link"),
      expires: value("expires") ? new Date(value("expires")).getTime() : 0,
      priority: value("priority"),
      users: names(value("users")),
      percent: Number(value("percent")),
      audience: value("audience"),
    };
  }

  get #body() {
    const { text, link } = this.#value;
    return link ? { text, link } : { text };
  }

  /** @returns {[string, string] | null} the first field that is wrong, and why */
  #fault() {
    const { mailbox, title, text, link, audience, percent } = this.#value;
    if (!/^[\w.-]{1,64}$/.test(mailbox)) {
      return ["mailbox", "Letters, digits, dots, dashes and underscores, up to 64."];
    }
    if (!title) return ["title", "A notice has a title."];
    if (!text) return ["text", "A notice has a text."];
    if (link && !secure(link)) return ["link", "A link begins with https://."];
    if (!(percent >= 0 && percent <= 100)) return ["percent", "A number from 0 to 100."];
    try {
      json(audience);
    } catch (error) {
      return ["audience", `This is not JSON: ${error.message}`];
    }
    return null;
  }

  async #submit(event) {
    event.preventDefault();
    for (const name of ["form", ...FIELDS]) this.#say(name, "");
    const fault = this.#fault();
    if (fault) return this.#complain(...fault);
    const { mailbox, title, expires, priority, users, percent, audience } = this.#value;
    byId("form-submit").disabled = true;
    try {
      const draft = { mailbox: `public:${mailbox}`, title, body: this.#body, expires, priority };
      const release = { percent, users };
      const key = await this.#desk.publish({ ...draft, release, audience: json(audience) });
      this.#form.reset();
      this.#form.elements.mailbox.value = mailbox;
      this.render();
      this.#published(key);
    } catch (error) {
      this.#complain(fieldOf(error.message), error.message);
    }
    byId("form-submit").disabled = false;
  }

  #complain(name, why) {
    this.#say(name, why);
    this.#form.elements[name]?.closest("details")?.setAttribute("open", "");
    (this.#form.elements[name] ?? byId("form-submit")).focus();
  }

  #say(name, why) {
    const place = byId(`${name}-error`);
    if (!place) return;
    place.textContent = why;
    this.#form.elements[name]?.setAttribute("aria-invalid", String(Boolean(why)));
  }
}

/** The field that the gateway's message is about, or the form as a whole. */
function fieldOf(message) {
  for (const [pattern, field] of FAULTS) {
    const found = message.match(pattern);
    if (found) return field ?? found[1];
  }
  return "form";
}
