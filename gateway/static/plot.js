/** A plot of counts over time, drawn as SVG. */

import { draw } from "./dom.js";

const HEIGHT = 200;
const EDGE = { top: 22, right: 14, bottom: 24, left: 44 };
const LINES = 4;
/** Less time than this is not stretched over the whole width. */
const SPAN_MS = 30_000;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/**
 * @typedef {object} Series
 * @property {string} name also its class
 * @property {[number, number][]} points time in ms and value, in order of time
 */

/**
 * @param {number} width in pixels
 * @param {Series[]} series
 * @param {{at: number, words: string}[]} marks moments to be marked
 * @returns {SVGElement}
 */
export function plot(width, series, marks) {
  const times = series.flatMap(({ points }) => points.map(([at]) => at));
  const start = Math.min(...times);
  const end = Math.max(...times, start + SPAN_MS);
  const step = stepFor(Math.max(1, ...series.flatMap(({ points }) => points.map(([, y]) => y))));
  const x = (at) => EDGE.left + ((at - start) / (end - start)) * (width - EDGE.left - EDGE.right);
  const y = (value) =>
    HEIGHT - EDGE.bottom - (value / (step * LINES)) * (HEIGHT - EDGE.top - EDGE.bottom);
  return draw(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" },
    ...grid(width, step, y),
    ...moments(start, end, x),
    ...marks.filter(({ at }) => at >= start && at <= end).flatMap((mark) => flag(mark, x(mark.at))),
    ...series.map(({ name, points }) => line(name, points, x, y)),
  );
}

/** A round number, so that four of them hold the highest value. */
function stepFor(highest) {
  const rough = highest / LINES;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  return Math.max(1, Math.ceil(round));
}

function grid(width, step, y) {
  return Array.from({ length: LINES + 1 }, (_, index) => index * step).flatMap((value) => [
    draw("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    draw("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString("en")),
  ]);
}

function moments(start, end, x) {
  const place = { y: HEIGHT - 6 };
  return [
    draw("text", { ...place, x: x(start) }, clock.format(start)),
    draw("text", { ...place, x: x(end), "text-anchor": "end" }, clock.format(end)),
  ];
}

function flag({ words }, x) {
  return [
    draw("line", { class: "mark-line", x1: x, x2: x, y1: EDGE.top - 6, y2: HEIGHT - EDGE.bottom }),
    draw("text", { class: "mark-words", x, y: EDGE.top - 10, "text-anchor": "middle" }, words),
  ];
}

function line(name, points, x, y) {
  const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return draw("polyline", { class: `line ${name}`, points: path });
}
