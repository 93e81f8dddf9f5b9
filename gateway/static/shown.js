/** Which notices a user has been shown in this browser, so that none is shown twice. */

/** How many are remembered; the gateway repeats only the latest. */
const KEEP = 500;

export class Shown {
  #item;

  /** @param {string} user */
  constructor(user) {
    this.#item = `readcast.shown.${user}`;
  }

  /** @param {string} key @returns {boolean} */
  has(key) {
    return this.#keys().includes(key);
  }

  /** @param {string} key */
  add(key) {
    localStorage.setItem(this.#item, JSON.stringify([...this.#keys(), key].slice(-KEEP)));
  }

  /** Read each time: another tab of the user may have shown one meanwhile. */
  #keys() {
    return JSON.parse(localStorage.getItem(this.#item) ?? "[]");
  }
}
