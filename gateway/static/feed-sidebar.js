/** The list beside the feed: all posts, the user's own page, and those who have posted lately. */

import { byId, h, icon, reconcile } from "./dom.js";
import { avatar, text } from "./format.js";
import { pageOf } from "./posts.js";
import { row, step } from "./sidebar.js";

export class FeedSidebar {
  #feed;
  #user;

  /**
   * @param {object} parts
   * @param {import('./feed.js').Feed} parts.feed
   * @param {string} parts.user
   */
  constructor({ feed, user }) {
    this.#feed = feed;
    this.#user = user;
    byId("authors").onkeydown = step;
  }

  /** @param {string | null} current the address of the page */
  render(current) {
    const rows = [this.#all(), this.#own(), ...this.#latest()];
    reconcile(byId("authors"), rows.map((one) => row({ ...one, current: one.key === current })));
  }

  #all() {
    const face = () => h("span.avatar.feed-mark", { "aria-hidden": "true" }, icon("feed"));
    const [last] = this.#feed.order === "time" ? this.#feed.posts : [];
    const { fresh: unread } = this.#feed;
    const preview = "From all whom you follow";
    return { key: "feed", name: "Feed", face, preview, last, unread, noun: "new post" };
  }

  #own() {
    const face = () => avatar(this.#user);
    return { key: pageOf(this.#user), name: "Your page", face, preview: "What you have posted" };
  }

  /** The newest loaded post of each. */
  #latest() {
    const newest = new Map();
    for (const post of this.#feed.posts) {
      const known = newest.get(post.author);
      if (post.author !== this.#user && !(known?.ts >= post.ts)) newest.set(post.author, post);
    }
    return [...newest.values()]
      .sort((one, two) => two.ts - one.ts)
      .map((last) => ({
        key: pageOf(last.author),
        name: last.author,
        face: () => avatar(last.author),
        preview: text(last.body).slice(0, 140),
        last,
      }));
  }
}
