"""What the tests run inside the page."""

ARRIVALS = """async () => {
  const { Inflow } = await import("/readcast.js");
  const failures = [];
  const random = (n) => Math.floor(Math.random() * n);
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  for (let round = 0; round < 300; round++) {
    const [known, live] = [random(6), 1 + random(12)];
    const [epoch, head] = ["e", known + live];
    const message = (seq) => ({ seq, id: `id-${seq}`, from: "bob", ts: seq, body: seq });
    const delivered = [];
    const pages = [];
    const inflow = new Inflow({
      user: "alice",
      complete: () => true,
      deliver: ({ op, seq }) => op === "message" && delivered.push(seq),
      pull: (mailbox, after) => new Promise((resolve) => {
        const to = Math.min(after + 3, head);
        const messages = range(after + 1, to).map(message);
        pages.push(() => resolve({ epoch, head, messages, more: to < head }));
      }),
    });
    inflow.take({ op: "sync", mailboxes: [{ mailbox: "group:g", epoch, head: known, mode: "live" }] });
    const arrivals = range(1, head)
      .flatMap((seq) => Array(random(3)).fill(message(seq)))
      .map((each) => ({ op: "message", mailbox: "group:g", ...each }))
      .sort(() => random(2) - 0.5);
    arrivals.push({ op: "gap", mailbox: "group:g", from: known + 1, to: head });
    for (const arrival of arrivals) {
      inflow.take(arrival);
      if (random(2)) pages.shift()?.();
      if (random(2)) await null;
    }
    for (let tries = 0; tries < 20; tries++) {
      pages.shift()?.();
      await new Promise(queueMicrotask);
      await null;
    }
    if (`${delivered}` !== `${range(known + 1, head)}`) failures.push([known, head, delivered]);
  }
  return failures;
}"""
"""Feeds the client one mailbox in 300 random orders; returns where it did not deliver it right."""

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const pixel = (...layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
    const c = rgb[i] / 255;
    return sum + share * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const backgrounds = (element) => element
    ? [...backgrounds(element.parentElement), getComputedStyle(element).backgroundColor] : [];
  const ratios = {};
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    const behind = backgrounds(element);
    const [low, high] = [pixel(...behind), pixel(...behind, getComputedStyle(element).color)]
      .map(luminance).sort((a, b) => a - b);
    ratios[`${element.className || element.tagName}: ${node.data.trim().slice(0, 30)}`] =
      Math.round((high + 0.05) / (low + 0.05) * 100) / 100;
  }
  return ratios;
}"""
"""The contrast of each visible text with its background."""

KEEP_PROGRESS = """() => {
  window.progress = [];
  const bar = document.getElementById("spread-bar");
  new MutationObserver(() => progress.push(bar.value)).observe(bar, { attributes: true });
}"""
"""From here on, each value of the console's progress bar is kept in `progress`."""

COUNT_BUILT = """() => {
  window.built = 0;
  const count = (changes) => changes.forEach(({ addedNodes }) => (built += addedNodes.length));
  new MutationObserver(count).observe(document.getElementById("messages"), { childList: true });
}"""
"""From here on, `built` counts what is put among the messages of a conversation."""

HIDE = """() => {
  Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""From here on, the page is one that nobody sees."""

LATE_OBSERVERS = """
  const Prompt = IntersectionObserver;
  window.IntersectionObserver = class extends Prompt {
    #kept = [];
    constructor(callback, options) {
      const tell = () => this.#kept.length && callback(this.#kept.splice(0), this);
      super((entries) => {
        this.#kept.push(...entries);
        setTimeout(tell, 300);
      }, options);
    }
    disconnect() {
      super.disconnect();
      this.#kept = [];
    }
  };
"""
"""From here on, observers hear of what came into view as on a busy machine: late, several at once."""

PRESS = "(field, key) => field.dispatchEvent(new KeyboardEvent('keydown', key))"
"""Press a key as an input method does."""

SLOW_QUEUE = """
  const { getAll } = IDBIndex.prototype;
  IDBIndex.prototype.getAll = function (...range) {
    const request = getAll.apply(this, range);
    const late = {};
    request.onsuccess = () => setTimeout(() => {
      late.result = request.result;
      late.onsuccess();
    }, 1_000);
    return late;
  };
"""
"""From here on, what waits to be sent is read as from a slow disk."""

UNBORN = """async () => {
  const { Inflow } = await import("/readcast.js");
  const seqs = [];
  const deliver = ({ op, seq }) => op === "message" && seqs.push(seq);
  const inflow = new Inflow({ user: "alice", complete: () => true, deliver });
  const chat = { mailbox: "direct:alice~bob" };
  inflow.take({ op: "watching", ...chat, epoch: "", head: 0, mode: "live" });
  inflow.take({ op: "message", ...chat, seq: 1 });
  inflow.take({ op: "joined", ...chat, members: ["alice"], epoch: "e", head: 2 });
  inflow.take({ op: "message", ...chat, seq: 2 });
  return [seqs, inflow.resume()];
}"""
"""A chat begins while it is watched, and a message is on its way; returns what is delivered and where it goes on."""
