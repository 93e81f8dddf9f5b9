/**
 * Posts as one user reads them: those of all whom they follow, or those of one author. Knows
 * nothing of the DOM.
 *
 * What is loaded only grows at its end, or changes in place. Newer posts are counted in `fresh`
 * and come with `renew`.
 */

/** @typedef {import('./readcast.d.ts').WireEvent} WireEvent */

/**
 * @typedef {object} Post
 * @property {string} post its id, which also names its place in a feed
 * @property {string} author
 * @property {number} ts ms since 1970
 * @property {any} body
 * @property {string} [state] what it is now: `live`, `replay`, `ended` or another word
 * @property {number} [edited] ms since 1970
 */

const PAGE = 20;
/** A page of what has been loaded before. */
const AGAIN = 100;
/** How many posts are looked at again after an absence; what lies beyond stays as it was. */
const LOOKED_AT_AGAIN = 500;

export class Feed {
  #client;
  #author;
  #changed;
  #renewed;
  #stopListening;
  /** Where the next page begins; null once the oldest post is there. @type {string | null} */
  #lastId = null;
  /** The ranking on the screen, in the order by state. @type {string | null} */
  #snapshot = null;
  #wanted = false;
  /** Counts what was begun, so that an answer that comes too late is known. */
  #turn = 0;
  /** Newer posts that the last top page held, but that are not shown yet. */
  #withheld = 0;
  /** Whether there are still more between that page and what is shown. */
  #unreached = false;
  /** Newer posts than that top page, as the gateway counts them. */
  #counted = 0;
  /** Whether there are more than it counts. */
  #capped = false;
  /** Changes that came while pages were on their way. @type {WireEvent[]} */
  #meanwhile = [];
  /** @type {'time' | 'state'} */
  order = "time";
  /** @type {Post[]} */
  posts = [];
  /** How often it began at its top. */
  visit = 0;
  loaded = false;
  loading = false;
  /** Why the gateway shows nothing. */
  refused = "";
  /** Whether a state has changed since the posts were ranked by it. */
  outranked = false;

  /**
   * @param {object} parts
   * @param {import('./readcast.js').Client} parts.client
   * @param {string} [parts.author] null: of all whom the user follows
   * @param {() => void} parts.changed
   * @param {() => void} [parts.renewed] a ranking was too old, so the feed begins anew
   */
  constructor({ client, author = null, changed, renewed = () => {} }) {
    this.#client = client;
    this.#author = author;
    this.#changed = changed;
    this.#renewed = renewed;
    const listeners = [
      client.on("event", (event, request) => this.#take(event, request)),
      client.on("state", ({ name }) => name === "connected" && this.#connected()),
    ];
    this.#stopListening = () => listeners.forEach((stop) => stop());
  }

  /** How many newer posts there are. */
  get fresh() {
    return this.#withheld + this.#counted;
  }

  /** Whether there are more new posts than could be counted. */
  get uncounted() {
    return this.#unreached || this.#capped;
  }

  /** Whether there are older posts than those in `posts`. */
  get more() {
    return this.loaded && !this.refused && this.#lastId !== null;
  }

  /** Somebody looks: load the first page unless it is there. */
  open() {
    this.#wanted = true;
    if (!this.loaded && !this.loading && !this.refused) this.renew();
  }

  /** Nobody looks any more. */
  close() {
    this.#turn += 1;
    this.#stopListening();
  }

  /** Begin at the top again, with all that is new. */
  async renew() {
    this.#wanted = true;
    const refresh = this.#snapshot ? { refresh: this.#snapshot } : {};
    await this.#load(async (ask) => {
      const top = await ask({ limit: PAGE, ...refresh });
      if (top) this.#begin(top);
    });
  }

  /** @param {'time' | 'state'} order */
  async sort(order) {
    if (order === this.order) return;
    this.order = order;
    this.#snapshot = null;
    // What is on the screen stands in another order.
    this.loaded = false;
    await this.renew();
  }

  async loadMore() {
    if (this.loading || !this.more || !this.#client.connected) return;
    await this.#load(async (ask) => {
      const page = await ask({ limit: PAGE, last_id: this.#lastId, ...this.#ranking() });
      if (page) this.#append(page);
    });
  }

  /** @param {string} post @param {any} body */
  edit(post, body) {
    return this.#client.request("edit", { post, body });
  }

  /** @param {string} post */
  delete(post) {
    return this.#client.request("delete", { post });
  }

  /** @param {string} post @param {string | null} state */
  mark(post, state) {
    return this.#client.request("state", { post, state });
  }

  #connected() {
    if (!this.#wanted || !this.#client.connected) return;
    if (!this.loaded || !this.posts.length) this.renew();
    else if (this.order === "state") this.#reviewRanking();
    else this.#review();
  }

  #take(event, request) {
    if (event.op === "feed" && this.#isTop(request)) this.#count({ count: 0 });
    else if (event.op === "new_posts") this.#count(event);
    else if (event.op === "post_changed") this.#change(event);
    else if (event.op === "done" && event.post) this.#change(asChange(event, request));
    else return;
    this.#changed();
  }

  /** Whether new posts are counted from the first one of that answer on. */
  #isTop(request) {
    return !this.#author && request && !request.author && !request.last_id && !request.snapshot;
  }

  #count({ count, more = false }) {
    if (this.#author) return;
    this.#counted = count;
    this.#capped = more;
  }

  #change(change) {
    if (this.loading) this.#meanwhile.push(change);
    const { op: _, post, deleted, ...fields } = change;
    const known = this.posts.find((one) => one.post === post);
    if (!known) return;
    const marked = "state" in fields && fields.state !== (known.state ?? null);
    this.outranked ||= marked && this.order === "state";
    this.posts = deleted
      ? this.posts.filter((one) => one !== known)
      : this.posts.map((one) => (one === known ? { ...known, ...fields } : one));
  }

  /**
   * One load at a time: a later one overtakes those before it.
   * @param {(ask: (fields: object) => Promise<WireEvent | null>) => Promise<void>} read
   *   where there is no answer any more, `ask` gives null
   */
  async #load(read) {
    const turn = ++this.#turn;
    const ask = async (fields) => {
      const answer = await this.#client.insist("feed", { ...this.#place(), ...fields });
      return turn === this.#turn ? answer : null;
    };
    this.loading = true;
    this.#changed();
    try {
      await read(ask);
    } catch (error) {
      if (turn === this.#turn) this.#refuse(error);
    }
    if (turn !== this.#turn) return;
    this.loading = false;
    this.#meanwhile.splice(0).forEach((change) => this.#change(change));
    this.#changed();
  }

  #place() {
    if (this.#author) return { author: this.#author };
    return this.order === "state" ? { order: "state" } : {};
  }

  #ranking() {
    return this.#snapshot ? { snapshot: this.#snapshot } : {};
  }

  #refuse({ code, message }) {
    if (code === "expired" && this.#snapshot) {
      this.#snapshot = null;
      this.#renewed();
      this.renew();
    } else this.refused = message;
  }

  #begin({ posts, last_id: lastId, snapshot = null }) {
    this.#lastId = lastId;
    this.#snapshot = snapshot;
    this.#withheld = 0;
    this.#unreached = false;
    this.visit += 1;
    Object.assign(this, { posts, loaded: true, refused: "", outranked: false });
  }

  #append({ posts, last_id: lastId }) {
    const known = new Set(this.posts.map(({ post }) => post));
    this.posts = [...this.posts, ...posts.filter(({ post }) => !known.has(post))];
    this.#lastId = lastId;
  }

  /** After an absence: what is loaded is read again and stays where it is. */
  #review() {
    const [first, last] = [this.posts[0].post, this.posts.at(-1).post];
    return this.#load(async (ask) => {
      const top = await ask({ limit: AGAIN });
      if (!top) return;
      const newer = top.posts.filter(({ post }) => isBefore(post, first));
      const reached = newer.length < top.posts.length || top.last_id === null;
      this.#withheld = newer.length;
      this.#unreached = !reached;
      const posts = reached ? top.posts.slice(newer.length) : this.posts.slice(0, 1);
      await this.#readAgain(ask, { posts, end: reached ? top.last_id : first, last });
    });
  }

  /** The same in the order by state, where a post's place is that in the ranking. */
  #reviewRanking() {
    return this.#load(async (ask) => {
      const top = await ask({ limit: 1, refresh: this.#snapshot });
      if (!top) return;
      this.outranked ||= top.snapshot !== this.#snapshot;
      let [posts, end] = [[], undefined];
      while (end !== null && posts.length < this.posts.length) {
        const from = end ? { last_id: end } : {};
        const page = await ask({ limit: AGAIN, ...this.#ranking(), ...from });
        if (!page) return;
        posts = [...posts, ...page.posts];
        end = page.last_id;
      }
      this.posts = posts;
      this.#lastId = end;
    });
  }

  /** Read on from `end` until `last` is passed, and put that in the place of what is loaded. */
  async #readAgain(ask, { posts, end, last }) {
    while (end !== null && isBefore(end, last) && posts.length < LOOKED_AT_AGAIN) {
      const page = await ask({ limit: AGAIN, last_id: end });
      if (!page) return;
      posts = [...posts, ...page.posts];
      end = page.last_id;
    }
    const beyond = this.posts.filter(({ post }) => end !== null && isBefore(end, post));
    if (!beyond.length) this.#lastId = end;
    this.posts = [...posts, ...beyond];
  }
}

/** What the answer to an own change says of the post. */
function asChange({ of, post }, { body, state }) {
  if (of === "delete") return { post, deleted: true };
  return of === "edit" ? { post, body, edited: Date.now() } : { post, state };
}

/** Whether a post stands before another in the order of time, by their ids. */
function isBefore(a, b) {
  const [one, two] = [placeOf(a), placeOf(b)];
  if (one.ts !== two.ts) return one.ts > two.ts;
  if (one.seq !== two.seq) return one.seq > two.seq;
  return one.author < two.author;
}

function placeOf(id) {
  const [ts, seq] = id.split("-", 2);
  return { ts: Number(ts), seq: Number(seq), author: id.slice(ts.length + seq.length + 2) };
}
