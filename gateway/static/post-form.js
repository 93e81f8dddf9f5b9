/** Writing a post, and those of one's own that are on their way. */

import { failure, sign } from "./bubbles.js";
import { byId, fit, h, reconcile } from "./dom.js";
import { avatar, text } from "./format.js";
import { POSTS } from "./outbox.js";
import { fillStates, pageOf } from "./posts.js";

export class PostForm {
  #outbox;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {import('./outbox.js').Outbox} parts.outbox
   * @param {string} parts.user
   * @param {() => void} parts.posted a post has been accepted
   */
  constructor({ client, outbox, user, posted }) {
    this.#outbox = outbox;
    byId("post-me").href = `#${pageOf(user)}`;
    byId("post-me").replaceChildren(avatar(user));
    fillStates(byId("post-state"));
    byId("post-form").onsubmit = (event) => this.#submit(event);
    byId("post-text").oninput = () => this.#typed();
    byId("post-text").onkeydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#submit(event);
    };
    client.on("accepted", ({ op, id }) => {
      if (op !== "post") return;
      outbox.drop(id);
      posted();
    });
  }

  render() {
    const waiting = this.#outbox.of(POSTS).filter(({ state }) => state !== "sent");
    reconcile(byId("post-outgoing"), waiting.map((entry) => this.#outgoing(entry)));
  }

  #outgoing(entry) {
    const { id, body, state, reason } = entry;
    const build = () =>
      h(
        "li.outgoing",
        { "data-state": state },
        h("p.text", { dir: "auto" }, text(body)),
        state === "failed" ? failure({ id, reason }, this.#outbox) : sign(state),
      );
    return { key: id, signature: JSON.stringify([state, reason]), build };
  }

  #submit(event) {
    event.preventDefault();
    const words = byId("post-text").value.trim();
    if (!words) return;
    this.#outbox.post({ text: words }, byId("post-state").value || null);
    byId("post-form").reset();
    this.#typed();
  }

  #typed() {
    byId("post-form").classList.toggle("begun", byId("post-text").value !== "");
    fit(byId("post-text"));
  }
}
