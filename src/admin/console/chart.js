// A chart over time. The drawing is uPlot's; what it shows is said in words for who does not see it.

import { h } from "./dom.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Lines only at 1, 10, 100: the others would be more ink than the figures. */
const decade = (value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6 ? value : null);

/** Series: [name, colour's name, whether it is dashed]. `said` makes words of a value. */
export function chart(title, series, said, logarithmic) {
  const plot = h("div", { class: "plot", role: "img", "aria-label": title });
  const now = series.map(([name, colourName, dashed]) => h("li", { class: `${colourName} ${dashed ? "dashed" : ""}` }, name));
  const legend = h("ul", { class: "legend" }, now);
  let drawn = null;
  let data = [[], ...series.map(() => [])];

  function draw() {
    drawn?.destroy();
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    drawn = new uPlot({
      width: plot.clientWidth || 300,
      height: plot.clientHeight || 190,
      legend: { show: false },
      padding: [10, 28, 0, 0],
      cursor: { y: false, drag: { setScale: false } },
      scales: { x: { time: true }, y: logarithmic ? { distr: 3, log: 10 } : { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [
        { ...axis, size: 26, gap: 3, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]], space: 70 },
        { ...axis, size: 62, grid: { ...axis.grid, filter: (_, splits) => (logarithmic ? splits.map(decade) : splits) }, values: (_, values) => values.map((value) => (value === null ? "" : said(value))) },
      ],
      series: [{}, ...series.map(([name, colourName, dashed]) => ({
        label: name, stroke: colour(colourName), width: 2, points: { show: false }, spanGaps: true, dash: dashed ? [4, 4] : undefined,
      }))],
    }, data, plot);
  }

  function renew(columns) {
    data = columns;
    const last = (values) => values.findLast((value) => value !== null);
    series.forEach(([name], at) => {
      const value = last(columns[at + 1]);
      now[at].textContent = value === undefined ? name : `${name} ${said(value)}`;
    });
    plot.setAttribute("aria-label", `${title}: ${now.map((one) => one.textContent).join(", ")}`);
    if (!drawn && plot.clientWidth) draw();
    drawn?.setData(data);
  }

  new ResizeObserver(() => {
    if (plot.clientWidth && drawn) drawn.setSize({ width: plot.clientWidth, height: plot.clientHeight });
  }).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (drawn) draw(); });
  return { plot, legend, renew };
}
