/** The page of an author: who follows them, whether the user does, and their posts. */

import { byId } from "./dom.js";
import { avatar, plural } from "./format.js";
import { Feed } from "./feed.js";
import { PostList } from "./post-list.js";

export class AuthorScreen {
  #client;
  #authors;
  #user;
  #confirm;
  #changed;
  #list;
  /** @type {string | null} */
  #author = null;
  /** @type {Feed | null} */
  #feed = null;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {import('./authors.js').Authors} parts.authors
   * @param {string} parts.user
   * @param {typeof import('./dialogs.js').confirm} parts.confirm
   * @param {() => void} parts.changed
   */
  constructor({ client, authors, user, confirm, changed }) {
    this.#client = client;
    this.#authors = authors;
    this.#user = user;
    this.#confirm = confirm;
    this.#changed = changed;
    this.#list = new PostList({ prefix: "author", user, empty: "No posts yet.", confirm });
    byId("author-follow").onclick = () => this.#toggleFollow();
    byId("author-block").onclick = () => this.#toggleBlock();
    client.on("state", ({ name }) => {
      if (name === "connected" && this.#author) authors.load(this.#author);
    });
  }

  /** @param {string | null} author */
  show(author) {
    this.#list.show(null);
    this.#feed?.close();
    this.#author = author;
    this.#feed = null;
    byId("author").hidden = !author;
    if (!author) return;
    byId("author-name").textContent = author;
    byId("author-avatar").replaceChildren(avatar(author));
    this.#feed = new Feed({ client: this.#client, author, changed: this.#changed });
    this.#list.show(this.#feed);
    this.#feed.open();
    this.#authors.load(author);
    this.render();
  }

  focus() {
    byId("author-scroll").focus();
  }

  render() {
    if (!this.#author) return;
    this.#list.render();
    const facts = this.#authors.get(this.#author);
    byId("author-facts").textContent = facts && !facts.refused ? words(facts) : "";
    this.#buttons(facts);
  }

  #buttons(facts) {
    const own = this.#author === this.#user;
    const [on, off] = own ? ["Show in my feed", "Hide from my feed"] : ["Follow", "Unfollow"];
    const follow = byId("author-follow");
    follow.hidden = !facts || Boolean(facts.refused);
    follow.textContent = facts?.follows ? off : on;
    follow.className = facts?.follows ? "plain" : "primary";
    byId("author-block").hidden = !facts || own;
    byId("author-block").textContent = facts?.blocked ? "Unblock" : "Block";
  }

  async #toggleFollow() {
    const author = this.#author;
    const { follows } = this.#authors.get(author);
    await (follows ? this.#authors.unfollow(author) : this.#authors.follow(author));
  }

  async #toggleBlock() {
    const author = this.#author;
    if (this.#authors.get(author).blocked) return this.#authors.unblock(author);
    const yes = await this.#confirm({
      title: `Block ${author}?`,
      text: `${author} can no longer follow you or read your posts.`,
      yes: "Block",
    });
    if (yes) await this.#authors.block(author);
  }
}

function words({ followers, following, posts }) {
  return [
    plural(followers, "follower"),
    `follows ${following.toLocaleString("en")}`,
    `posted ${plural(posts, "time")}`,
  ].join(" · ");
}
