/** Building elements. Text always becomes a text node, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag with classes, as in `p.text.own`
 * @param {Object<string, any>} [props] attributes, listeners (`on…`); null and false are left out
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child || child === ""));
  return element;
}

/**
 * An element of a drawing.
 * @param {string} name
 * @param {Object<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
export function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** A symbol of icons.svg. @param {string} name */
export const icon = (name) =>
  draw("svg", { class: "icon", "aria-hidden": "true" }, draw("use", { href: `icons.svg#${name}` }));

/** @param {string} id @returns {any} the element */
export const byId = (id) => document.getElementById(id);

/** What the page's address names after its `#`; nothing where it is malformed. @returns {string} */
export function fragment() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/**
 * Whether a key is for the input method that composes a text; Safari tells of the last one by its code alone.
 * @param {KeyboardEvent} event
 */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** Have a screen reader say it. @param {string} words */
export function announce(words) {
  byId("announcer").textContent = words;
}

/**
 * @typedef {object} Item
 * @property {string} key unique among its siblings
 * @property {string} signature changes when the element must be built or filled again
 * @property {() => HTMLElement} build
 * @property {(element: HTMLElement) => void} [update] fills it, at first and wherever it changes: it
 *   is not built again, for a press on what goes before it ends is no click
 */

/**
 * Make the children of `parent` those of `items`, touching only what differs. If what had the focus
 * is gone, whatever around it takes one has it.
 * @param {HTMLElement} parent
 * @param {Item[]} items
 */
export function reconcile(parent, items) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const kept = new Set(items.map(({ key }) => key));
  const held = parent.contains(document.activeElement);
  for (const [key, element] of old) if (!kept.has(key)) element.remove();
  let place = parent.firstElementChild;
  for (const { key, signature, build, update } of items) {
    let element = old.get(key);
    if (element?.dataset.signature !== signature) {
      if (!element || !update) {
        const built = build();
        if (element) {
          if (element === place) place = built;
          replace(element, built);
        }
        element = built;
      }
      update?.(element);
      Object.assign(element.dataset, { key, signature });
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  if (held && !parent.contains(document.activeElement)) {
    parent.closest("[tabindex]")?.focus({ preventScroll: true });
  }
}

/**
 * Change a list without moving what is being read.
 * @param {HTMLElement} scroll
 * @param {HTMLElement} list inside it
 * @param {() => void} change
 */
export function keepingPlace(scroll, list, change) {
  const top = scroll.getBoundingClientRect().top;
  const inView = (child) => child.getBoundingClientRect().bottom > top;
  const anchor = [...list.children].find(inView);
  const offset = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) scroll.scrollTop += anchor.getBoundingClientRect().top - offset;
}

/** Let a field grow with its text, up to what the style allows. @param {HTMLTextAreaElement} field */
export function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

/** Swap an element and keep the focus on it, or on what is like in it. */
function replace(element, built) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  element.replaceWith(built);
  if (!focused) return;
  const like = focused === element ? built : built.querySelector(focused.localName);
  (like ?? built.querySelector("button, a"))?.focus({ preventScroll: true });
}
