/** One publish: how it stands, its release step by step, its counts, and taking it back. */

import { card } from "./cards.js";
import { deed, isLive, standing } from "./console-desk.js";
import { names } from "./console-form.js";
import { announce, byId, h } from "./dom.js";
import { plural, time, when } from "./format.js";
import { keyOf } from "./notices.js";
import { plot } from "./plot.js";

const number = (count) => count?.toLocaleString("en") ?? "–";
const share = (part, whole) => (whole ? `${Math.round((part / whole) * 100)} % of touched` : "");

export class ConsolePublish {
  #desk;
  #confirm;
  /** @type {string | null} */
  #key = null;
  /** The newest entry that the operator had seen when they began to decide. */
  #decidesOn = 0;

  /**
   * @param {object} parts
   * @param {import('./console-desk.js').Desk} parts.desk
   * @param {typeof import('./dialogs.js').confirm} parts.confirm
   */
  constructor({ desk, confirm }) {
    this.#desk = desk;
    this.#confirm = confirm;
    const form = byId("release");
    form.oninput = ({ target }) => this.#decide(target);
    form.onsubmit = (event) => this.#release(event);
    byId("withdraw").onclick = () => this.#withdraw();
  }

  /** @param {string | null} key */
  show(key) {
    this.#key = key;
    this.#decidesOn = 0;
    byId("release").reset();
    this.#tell("");
    byId("release-error").textContent = "";
    this.render();
  }

  render() {
    const publish = this.#desk.get(this.#key);
    if (!publish) return;
    this.#head(publish);
    this.#figures(publish);
    this.#steps(publish);
    this.#stages(publish);
    this.#plot();
  }

  #head(publish) {
    const { title, mailbox, ts, expires, users, audience } = publish;
    const { name, words } = standing(publish);
    const until = expires ? `until ${new Date(expires).toLocaleString()}` : "";
    byId("publish-title").textContent = title;
    byId("publish-subtitle").textContent = [`${mailbox}/${publish.publish}`, when(ts), until].filter(Boolean).join(" · ");
    byId("publish-state").textContent = words;
    byId("publish-state").className = `state ${name}`;
    const whom = `Listed: ${users.length ? users.join(", ") : "nobody"}`;
    byId("publish-listed").textContent = whom;
    byId("publish-audience").hidden = !audience;
    byId("publish-audience-text").textContent = audience ? JSON.stringify(audience) : "";
    const shown = `${this.#key} ${name}`;
    if (byId("publish-card").dataset.of === shown) return;
    byId("publish-card").dataset.of = shown;
    byId("publish-card").replaceChildren(card(publish));
  }

  #figures({ touched, opened, online }) {
    byId("count-touched").textContent = number(touched);
    byId("count-opened").textContent = number(opened);
    byId("count-online").textContent = number(online);
    byId("count-share").textContent = share(opened, touched);
    const spreading = this.#desk.progress(this.#key);
    byId("spread").hidden = !spreading;
    if (!spreading) return;
    const { planned, done } = spreading;
    byId("spread-bar").max = planned || 1;
    byId("spread-bar").value = done;
    const verb = done < planned ? "Spreading:" : "Spread to";
    byId("spread-words").textContent = `${verb} ${number(done)} of ${plural(planned, "connected user")}`;
  }

  #steps(publish) {
    const live = isLive(publish);
    byId("release").hidden = byId("withdraw").hidden = !live;
    for (const step of byId("release").elements.step) {
      step.disabled = Number(step.value) <= publish.percent;
    }
    const { percent, users } = this.#wanted(publish);
    const more = users.length ? `list ${plural(users.length, "user")}` : "";
    const raise = percent > publish.percent ? `raise to ${percent} %` : "";
    const words = [raise, more].filter(Boolean).join(" and ");
    byId("release-submit").textContent = words ? words[0].toUpperCase() + words.slice(1) : "Release";
    byId("release-submit").disabled = !words;
  }

  /** What is asked for: a step, or the percentage that was typed. */
  #wanted({ percent: present }) {
    const { percent, more } = byId("release").elements;
    return { percent: percent.value ? Number(percent.value) : present, users: names(more.value) };
  }

  /** From the first key on, the operator decides on what they saw then. */
  #decide({ name, value }) {
    const { step, percent } = byId("release").elements;
    if (name === "step") percent.value = value;
    if (name === "percent") step.value = value;
    const publish = this.#desk.get(this.#key);
    this.#decidesOn ||= publish.last;
    byId("release-error").textContent = "";
    this.#steps(publish);
  }

  async #release(event) {
    event.preventDefault();
    const publish = this.#desk.get(this.#key);
    const wanted = this.#wanted(publish);
    await this.#attempt(publish, async (expect) => {
      await this.#desk.release(publish, expect, wanted);
      byId("release").reset();
      announce(`Released to ${wanted.percent} %`);
    });
  }

  async #withdraw() {
    const publish = this.#desk.get(this.#key);
    this.#decidesOn ||= publish.last;
    const yes = await this.#confirm({
      title: "Withdraw this notice?",
      text: `“${publish.title}” vanishes from every screen and touches nobody any more. This is final.`,
      yes: "Withdraw",
    });
    if (!yes) this.#decidesOn = 0;
    else await this.#attempt(publish, (expect) => this.#desk.withdraw(publish, expect));
  }

  /** Do it on what the operator has seen; if that is not how it stands, say what has happened. */
  async #attempt(publish, action) {
    const key = keyOf(publish);
    const expect = this.#decidesOn || publish.last;
    this.#decidesOn = 0;
    this.#tell("");
    byId("release-submit").disabled = true;
    try {
      await action(expect);
    } catch (error) {
      if (key !== this.#key) return;
      if (error.code === "conflict") await this.#meanwhile(publish, expect, error);
      else byId("release-error").textContent = error.message;
    }
    this.render();
  }

  async #meanwhile(publish, expect, error) {
    const entries = await this.#desk.since(publish, expect).catch(() => []);
    const deeds = entries.map((entry) => `${entry.by} ${deed(entry)} at ${time(entry.ts)}`);
    this.#tell(
      deeds.length
        ? `Meanwhile ${deeds.join(", then ")}. Nothing of yours was done; what you typed is still there. Look again, then decide.`
        : error.message,
    );
  }

  #tell(words) {
    byId("conflict").textContent = words;
    byId("conflict").hidden = !words;
  }

  #stages({ stages }) {
    const cell = (label, words) => h("td", { "data-label": label }, words);
    const row = ({ entry, by, ts, percent, users, touched, opened }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, users ? `${percent} %, ${users} listed` : `${percent} %`),
        cell("Released", `${when(ts)} by ${by}`),
        cell("Touched", number(touched)),
        cell("Opened", number(opened)),
        cell("Entry", `#${entry}`),
      );
    byId("stages").replaceChildren(...stages.map(row));
  }

  #plot() {
    const course = this.#desk.course(this.#key);
    const series = (name) => ({ name, points: course.map((counts) => [counts.at, counts[name]]) });
    const lines = [series("touched"), series("opened"), series("online")];
    const { stages } = this.#desk.get(this.#key);
    const marks = stages.map(({ ts, percent }) => ({ at: ts, words: `${percent} %` }));
    byId("plot").replaceChildren(plot(byId("plot").clientWidth || 600, lines, marks));
  }
}
