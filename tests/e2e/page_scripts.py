"""What the tests run inside the page."""

ARRIVALS = """async () => {
  const { Store } = await import("/store.js");
  const failures = [];
  for (let round = 0; round < 300; round++) {
    const random = (n) => Math.floor(Math.random() * n);
    const [known, live] = [random(6), 1 + random(12)];
    const message = (seq) => ({ seq, id: `id-${seq}`, from: "bob", ts: seq, body: seq });
    const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    const answer = (messages, more) =>
      ({ op: "history", mailbox: "group:g", epoch: "e", head: known + live, messages, more });
    const store = new Store("alice");
    const entry = { mailbox: "group:g", epoch: "e", head: known, read: 0, unread: known };
    store.apply({ op: "sync", mailboxes: [entry] });
    store.beginLoading("group:g");
    const arrivals = range(known + 1, known + live)
      .flatMap((seq) => Array(random(3)).fill(message(seq)))
      .map((body) => ({ op: "message", mailbox: "group:g", ...body }))
      .sort(() => random(2) - 0.5);
    arrivals.push({ op: "gap", mailbox: "group:g", from: known + 1, to: known + live });
    const page = [answer(range(1, known).map(message), false), { before: known + 1 }];
    arrivals.splice(random(arrivals.length), 0, page);
    const group = store.get("group:g");
    const check = () => {
      const seqs = group.messages.map(({ seq }) => seq);
      if (seqs.some((seq, i) => seq !== i + 1)) failures.push(seqs);
    };
    for (const arrival of arrivals) {
      Array.isArray(arrival) ? store.apply(...arrival) : store.apply(arrival);
      check();
      if (!group.torn || random(2)) continue;
      const pulled = range(group.high + 1, Math.min(group.high + 3, known + live)).map(message);
      store.apply(answer(pulled, group.high + 3 < known + live), { after: group.high });
      check();
    }
    while (group.torn) {
      const pulled = range(group.high + 1, Math.min(group.high + 3, known + live)).map(message);
      store.apply(answer(pulled, group.high + 3 < known + live), { after: group.high });
      check();
    }
    if (group.messages.length !== known + live) failures.push([known, live, group.high]);
  }
  return failures;
}"""
"""Feeds the state one conversation in 300 random orders; returns what was wrong."""

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
