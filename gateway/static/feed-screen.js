/** The feed on the page: the form for a post, the order, the pill for new posts, and the posts. */

import { followSomebody, toast } from "./dialogs.js";
import { announce, byId } from "./dom.js";
import { plural } from "./format.js";
import { PostForm } from "./post-form.js";
import { PostList } from "./post-list.js";

export class FeedScreen {
  #feed;
  #authors;
  #user;
  #list;
  #form;
  #visible = false;
  #announced = 0;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {import('./feed.js').Feed} parts.feed
   * @param {import('./authors.js').Authors} parts.authors
   * @param {import('./outbox.js').Outbox} parts.outbox
   * @param {string} parts.user
   * @param {typeof import('./dialogs.js').confirm} parts.confirm
   */
  constructor({ client, feed, authors, outbox, user, confirm }) {
    this.#feed = feed;
    this.#authors = authors;
    this.#user = user;
    const empty = "Nothing here yet. Follow somebody, and what they post comes here.";
    this.#list = new PostList({ prefix: "feed", user, empty, confirm });
    this.#form = new PostForm({ client, outbox, user, posted: () => this.#posted() });
    byId("feed-pill").onclick = () => this.#renew();
    byId("feed-order").onchange = ({ target }) => feed.sort(target.value);
    byId("feed-follow").onclick = () =>
      followSomebody(authors, (author) => toast(`You follow ${author}.`));
    client.on("state", ({ name }) => name === "connected" && this.#visible && this.#look());
  }

  /** @param {boolean} visible */
  show(visible) {
    this.#visible = visible;
    byId("feed").hidden = !visible;
    this.#list.show(visible ? this.#feed : null);
    if (!visible) return;
    this.#feed.open();
    this.#look();
    this.render();
  }

  focus() {
    byId("feed-scroll").focus();
  }

  render() {
    this.#mark();
    if (!this.#visible) return;
    this.#form.render();
    this.#list.render();
    const { fresh, uncounted, outranked, loading } = this.#feed;
    byId("feed-pill").hidden = loading || !(fresh || outranked);
    byId("feed-pill-text").textContent = fresh ? news(fresh, uncounted) : "The order has changed";
  }

  /** Say beside the way to the feed how much is new there. */
  #mark() {
    const { fresh, uncounted } = this.#feed;
    byId("feed-news").hidden = !fresh;
    byId("feed-news").setAttribute("aria-label", fresh ? news(fresh, uncounted) : "");
    if (fresh > this.#announced) announce(news(fresh, uncounted));
    this.#announced = fresh;
  }

  #look() {
    this.#authors.load(this.#user);
  }

  #renew() {
    this.focus();
    this.#feed.renew();
  }

  /** An own post is in the feed if one follows oneself; otherwise it is found on one's page. */
  #posted() {
    if (!this.#authors.get(this.#user)?.follows) toast("Posted. It is on your page.");
    else if (this.#visible && this.#list.atTop) this.#feed.renew();
  }
}

const news = (count, uncounted) =>
  uncounted ? `More than ${plural(count, "new post")}` : plural(count, "new post");
