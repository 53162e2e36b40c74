// The report: one HTML file with everything in it.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { operations } from "./summary.mjs";
import { table } from "./table.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes the report of a run. */
export async function writeReport(file, summary, targets) {
  const { outputFiles } = await build({ entryPoints: [here("report/charts.js")], bundle: true, minify: true, format: "iife", target: "es2022", write: false, legalComments: "inline", logLevel: "error" });
  const { date, cpu, load, browsers, implementations } = summary.run;
  const data = {
    date,
    cpu,
    load,
    browsers,
    implementations,
    operations,
    rows: summary.rows,
    targets,
    text: table(summary, targets),
    cold: implementations.map(({ id }) => summary.cold(id)),
    size: implementations.map(({ adapter, variant }) => (variant ? undefined : summary.size(adapter)?.brotli)),
    memory: summary.run.memory,
  };
  const fill = { DATA: JSON.stringify(data).replaceAll("<", "\\u003c"), SCRIPT: outputFiles[0].text.replaceAll("</script", "<\\/script") };
  writeFileSync(file, readFileSync(here("report/page.html"), "utf8").replace(/%(DATA|SCRIPT)%/g, (_, name) => fill[name]));
}
