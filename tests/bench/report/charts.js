// Fills in the report.
import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, LineController, LineElement, LogarithmicScale, PointElement, Title, Tooltip } from "chart.js";
import { figure } from "../table.mjs";

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, LineController, LineElement, LogarithmicScale, PointElement, Title, Tooltip);
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;

const data = JSON.parse(document.getElementById("data").textContent);
const colours = ["#0b6bcb", "#d1495b", "#e0a100", "#3a8f5c", "#7a4fbf", "#555555"];
const colour = new Map(data.implementations.map(({ id }, i) => [id, colours[i % colours.length]]));
const name = ({ label, version }) => (version ? `${label} ${version}` : label);

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const { browsers, cpu, date, load } = data;
document.getElementById("run").textContent =
  `${date.slice(0, 10)}, ${Object.values(browsers).join(" and ")}, ${cpu}; load of the machine before ${load.before.toFixed(1)}, after ${load.after.toFixed(1)}`;
document.getElementById("text").textContent = data.text;

const targets = document.getElementById("targets");
targets.append(make("tr", {}, ...["target", "is", "at most", "holds"].map((text) => make("th", { textContent: text }))));
for (const { name, value, most, unit, holds } of data.targets) {
  const verdict = holds === undefined ? ["not measured", "unmeasured"] : holds ? ["yes", "yes"] : ["no", "no"];
  const cells = [name, figure(value), `${figure(most)} ${unit}`].map((text) => make("td", { textContent: text }));
  targets.append(make("tr", {}, ...cells, make("td", { textContent: verdict[0], className: verdict[1] })));
}

/** A section of charts; nothing, when there is nothing to draw. */
function section(title, charts) {
  if (charts.length === 0) return;
  const grid = make("div", { className: "charts" });
  document.getElementById("charts").append(make("h2", { textContent: title }), grid);
  for (const chart of charts) {
    const canvas = make("canvas", {});
    grid.append(make("div", {}, canvas));
    new Chart(canvas, chart);
  }
}

const titled = (text, more) => ({ plugins: { title: { display: true, text }, legend: { labels: { boxWidth: 12 } }, ...more } });

/** How something grows with the group, for all that have it. */
function growth(title, rows, pick, unit) {
  const datasets = data.implementations.flatMap((implementation) => {
    const { id } = implementation;
    const points = rows.filter(({ of }) => pick(of[id] ?? {}) !== undefined).map((row) => ({ x: row.n, y: pick(row.of[id]) }));
    return points.length ? [{ label: name(implementation), data: points, borderColor: colour.get(id), backgroundColor: colour.get(id) }] : [];
  });
  const scales = {
    x: { type: "logarithmic", title: { display: true, text: "n" }, ticks: { callback: (value) => (rows.some(({ n }) => n === value) ? value : "") } },
    y: { type: "logarithmic", title: { display: true, text: unit } },
  };
  scales.x.afterBuildTicks = (axis) => (axis.ticks = [...new Set(rows.map(({ n }) => n))].map((value) => ({ value })));
  return { type: "line", data: { datasets }, options: { scales, ...titled(title) } };
}

/** One value for each that has it. */
function bars(title, values, unit) {
  const having = data.implementations.map((implementation, i) => [implementation, values[i]]).filter(([, value]) => value !== undefined && value !== null);
  const dataset = { data: having.map(([, value]) => value), backgroundColor: having.map(([{ id }]) => colour.get(id)) };
  const scales = { y: { beginAtZero: true, title: { display: true, text: unit } } };
  return { type: "bar", data: { labels: having.map(([implementation]) => name(implementation)), datasets: [dataset] }, options: { scales, ...titled(title, { legend: { display: false } }) } };
}

const each = Object.keys(data.operations);
const called = (operation) => (operation.endsWith(":process") ? `${data.operations[operation.split(":")[0]]}: process` : data.operations[operation]);
for (const browser of Object.keys(browsers)) {
  for (const suite of [1, 2]) {
    const rowsOf = (operation) => data.rows.filter((row) => row.browser === browser && row.suite === suite && row.operation === operation && Object.values(row.of).some(({ ms }) => ms !== undefined));
    const here = each.map((operation) => [operation, rowsOf(operation)]).filter(([, rows]) => rows.length > 0);
    const grows = ([, rows]) => rows.length > 1;
    section(`${browsers[browser]}, suite ${suite}, by the size of the group`, here.filter(grows).map(([operation, rows]) => growth(called(operation), rows, ({ ms }) => ms, "ms")));
    const single = here.filter((entry) => !grows(entry));
    section(
      `${browsers[browser]}, suite ${suite}`,
      single.map(([operation, [row]]) => bars(row.n === 1 ? called(operation) : `${called(operation)}, n ${row.n}`, data.implementations.map(({ id }) => row.of[id]?.ms), "ms")),
    );
  }
}
const stored = each.map((operation) => [operation, data.rows.filter((row) => row.operation === operation && Object.values(row.of).some(({ stored }) => stored > 0))]);
section("Bytes put into IndexedDB, suite 1", stored.filter(([, rows]) => rows.length > 0).map(([operation, rows]) => growth(called(operation), rows, ({ stored }) => stored || undefined, "bytes")));
const alone = [data.cold.some((value) => value) && bars("Cold start to a first client", data.cold, "ms"), data.size.some((value) => value) && bars("What a page loads, brotli", data.size, "bytes")];
for (const n of new Set(data.memory.map(({ n }) => n))) {
  const of = (id, what) => data.memory.find((row) => row.id === id && row.n === n)?.after?.[what];
  for (const [what, title] of [["wasm", "Wasm memory at rest"], ["page", "All memory of the page at rest"]]) {
    alone.push(bars(`${title}, n ${n}`, data.implementations.map(({ id }) => (of(id, what) === undefined ? undefined : of(id, what) / 1e6)), "MB"));
  }
}
section("Loading and memory", alone.filter(Boolean));
