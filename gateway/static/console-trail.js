/** The audit trail of a mailbox: who did what, newest first. */

import { deed } from "./console-desk.js";
import { byId, h } from "./dom.js";
import { day, time } from "./format.js";

export class ConsoleTrail {
  #desk;
  #mailbox = "";
  #publish = 0;
  #head = -1;

  /** @param {{desk: import('./console-desk.js').Desk}} parts */
  constructor({ desk }) {
    this.#desk = desk;
  }

  /** Follow the mailbox of a publish. @param {import('./console-desk.js').Publish} publish */
  render({ mailbox, publish }) {
    const head = this.#desk.mailboxes.find((one) => one.mailbox === mailbox).head;
    const same = mailbox === this.#mailbox && publish === this.#publish;
    if (same && head === this.#head) return;
    if (!same) this.#clear();
    this.#mailbox = mailbox;
    this.#publish = publish;
    this.#head = head;
    byId("trail-title").textContent = `Audit trail of ${mailbox}`;
    // What fails is asked for again when the board comes next.
    this.#load(null).catch(() => (this.#head = -1));
  }

  #clear() {
    byId("trail").replaceChildren();
    byId("trail-more").hidden = true;
  }

  async #load(before) {
    const mailbox = this.#mailbox;
    const { entries, more } = await this.#desk.entries(mailbox, before);
    if (mailbox !== this.#mailbox) return;
    if (before === null) byId("trail").replaceChildren();
    // Whoever clicks twice asks for a page twice.
    const last = byId("trail").lastElementChild?.dataset.seq ?? Infinity;
    const rows = entries.filter(({ seq }) => seq < last).map((entry) => this.#row(entry));
    byId("trail").append(...rows);
    byId("trail-more").hidden = !more;
    byId("trail-more").onclick = () => this.#load(entries.at(-1).seq);
  }

  #row(entry) {
    const about = entry.publish ?? entry.seq;
    const mine = about === this.#publish;
    return h(
      `li${mine ? ".mine" : ""}`,
      { "data-seq": entry.seq },
      h("span.trail-seq", {}, `#${entry.seq}`),
      h("span", {}, h("strong", {}, entry.by), ` ${deed(entry)}`, mine ? "" : ` (publish ${about})`),
      h("time", { datetime: new Date(entry.ts).toISOString() }, `${day(entry.ts)}, ${time(entry.ts)}`),
    );
  }
}
