// SPDX-License-Identifier: Apache-2.0
// Bars over time, drawn by uPlot. It says in words what it shows; the numbers stand in the table beside it.
import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { count, local } from "../format.js";

/** @typedef {{ time: number, allowed: number, denied: number, observed: number }} Point time in seconds */

/** @param {string} name of a custom property */
const color = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** @param {number} width @param {number} step between two points, in seconds @returns {uPlot.Options} */
function options(width, step) {
  const short = step < 86_400 ? hours : dayMonth;
  /** What the pointer is over, or nothing. @param {(plot: uPlot, at: number) => string} text @returns {uPlot.Series.Value} */
  const shown = (text) => (plot, _, __, at) => (at === null || at === undefined ? "" : text(plot, at));
  const sum = (/** @type {uPlot} */ plot, /** @type {number} */ at) => Number(plot.data[1][at] ?? 0);
  const allowed = (/** @type {uPlot} */ plot, /** @type {number} */ at) => Number(plot.data[2][at] ?? 0);
  const axis = {
    stroke: color("--soft"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  const bars = uPlot.paths.bars?.({ size: [0.7, 36], radius: 0.15 });
  return {
    width,
    height: 220,
    padding: [12, 8, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: {
      x: { range: (_, min, max) => [min - step / 2, max + step / 2] },
      y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 64,
        values: (_, times) => times.map((time) => short.format(time * 1000)),
      },
      {
        ...axis,
        size: 56,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000, 1_000_000],
      },
    ],
    series: [
      { label: "Time", value: shown((plot, at) => local(new Date(Number(plot.data[0][at]) * 1000).toISOString())) },
      {
        label: "Refused",
        value: shown((plot, at) => count(sum(plot, at) - allowed(plot, at))),
        fill: color("--bad-bar"),
        width: 0,
        paths: bars,
        points: { show: false },
      },
      {
        label: "Allowed",
        value: shown((plot, at) => count(allowed(plot, at))),
        fill: color("--accent-bar"),
        width: 0,
        paths: bars,
        points: { show: false },
      },
    ],
  };
}

/** @param {{ points: Point[], label: string }} props */
export function Chart({ points, label }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const step = points.length > 1 ? points[1].time - points[0].time : 86_400;
    /** @type {uPlot.AlignedData} */
    const data = [points.map((p) => p.time), points.map((p) => p.allowed + p.denied), points.map((p) => p.allowed)];
    let plot = new uPlot(options(element.clientWidth, step), data, element);
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 220 }));
    watcher.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => {
      plot.destroy();
      plot = new uPlot(options(element.clientWidth, step), data, element);
    };
    dark.addEventListener("change", redraw);
    return () => {
      watcher.disconnect();
      dark.removeEventListener("change", redraw);
      plot.destroy();
    };
  }, [points]);
  return h("div", { class: "chart", role: "img", "aria-label": label, ref: host });
}
