/** The posts of a feed on the screen: scrolled through without end, and changed where they are the user's own. */

import { byId, keepingPlace, reconcile } from "./dom.js";
import { when } from "./format.js";
import { postCard, postEditor } from "./posts.js";

/** The next page is fetched when its place is this close to the screen. */
const AHEAD = "800px";

export class PostList {
  #scroll;
  #list;
  #end;
  #user;
  #empty;
  #confirm;
  #observer;
  /** @type {import('./feed.js').Feed | null} */
  #feed = null;
  #visit = 0;
  /** Where the list is scrolled to, for one that is hidden does not tell. */
  #top = 0;
  /** The own post whose text is being changed. @type {string | null} */
  #editing = null;

  /**
   * @param {object} parts
   * @param {string} parts.prefix of the ids of its elements: -scroll, -posts and -end
   * @param {string} parts.user
   * @param {string} parts.empty what to say where there are no posts
   * @param {typeof import('./dialogs.js').confirm} parts.confirm
   */
  constructor({ prefix, user, empty, confirm }) {
    this.#scroll = byId(`${prefix}-scroll`);
    this.#list = byId(`${prefix}-posts`);
    this.#end = byId(`${prefix}-end`);
    this.#user = user;
    this.#empty = empty;
    this.#confirm = confirm;
    this.#list.onkeydown = step;
    this.#scroll.onscroll = () => this.#feed && (this.#top = this.#scroll.scrollTop);
    const near = (entries) => entries.at(-1).isIntersecting && this.#feed?.loadMore();
    this.#observer = new IntersectionObserver(near, { root: this.#scroll, rootMargin: AHEAD });
  }

  /** @param {import('./feed.js').Feed | null} feed null: nobody looks */
  show(feed) {
    this.#feed = feed;
    this.#editing = null;
    if (!feed) return this.#observer.disconnect();
    this.render();
    this.#scroll.scrollTop = this.#top;
  }

  get atTop() {
    return this.#scroll.scrollTop === 0;
  }

  render() {
    if (!this.#feed) return;
    const { posts, visit, loading, loaded, more, refused } = this.#feed;
    const items = posts.map((post) => this.#item(post));
    keepingPlace(this.#scroll, this.#list, () => reconcile(this.#list, items));
    if (visit !== this.#visit) this.#scroll.scrollTop = this.#top = 0;
    this.#visit = visit;
    [...this.#list.children].forEach((child, index) => child.setAttribute("aria-posinset", index + 1));
    this.#list.setAttribute("aria-busy", String(loading));
    const over = loaded && (posts.length ? "That was the oldest post." : this.#empty);
    this.#end.textContent = refused || (loading || more ? "Loading…" : over || "");
    this.#observe(more && !loading);
  }

  /** An observer speaks up at first, and then whenever something has changed. */
  #observe(more) {
    this.#observer.disconnect();
    if (more) this.#observer.observe(this.#end);
  }

  #item(post) {
    const own = post.author === this.#user;
    const editing = this.#editing === post.post;
    const { body, state, edited, ts } = post;
    const look = editing || [body, state, edited, when(ts)];
    const build = () => (editing ? this.#editor(post) : postCard(post, own && this.#actions(post)));
    return { key: post.post, signature: JSON.stringify(look), build };
  }

  #actions({ post }) {
    return {
      edit: () => this.#edit(post),
      remove: () => this.#remove(post),
      mark: (state) => this.#feed.mark(post, state),
    };
  }

  #editor(post) {
    return postEditor(post, {
      save: async (words) => {
        await this.#feed.edit(post.post, { ...bodyOf(post), text: words });
        this.#endEdit(post.post);
      },
      cancel: () => this.#endEdit(post.post),
    });
  }

  #edit(post) {
    this.#editing = post;
    this.render();
    this.#card(post)?.querySelector("textarea").focus();
  }

  #endEdit(post) {
    if (this.#editing !== post) return;
    this.#editing = null;
    this.render();
    this.#card(post)?.focus();
  }

  /** The focus goes to the post that takes the place. */
  async #remove(post) {
    const yes = await this.#confirm({
      title: "Delete this post?",
      text: "It disappears from the feeds of all who follow you.",
      yes: "Delete",
    });
    if (!yes) return;
    const next = this.#card(post)?.nextElementSibling;
    await this.#feed.delete(post);
    (next ?? this.#list.lastElementChild ?? this.#scroll).focus();
  }

  #card(post) {
    return this.#list.querySelector(`[data-key="${post}"]`);
  }
}

/** What else a post's body carries stays with it. */
const bodyOf = ({ body }) => (body && typeof body === "object" && !Array.isArray(body) ? body : {});

/** Page keys move from post to post, as they do in every feed. */
function step(event) {
  const sibling = { PageDown: "nextElementSibling", PageUp: "previousElementSibling" }[event.key];
  const post = sibling && event.target.closest(".post");
  if (!post || event.target.matches("textarea")) return;
  post[sibling]?.focus();
  event.preventDefault();
}
