// A server of nothing but files, with a bare page and the security policy of
// the delivery service: what an app without a bundler does with webmls.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".map": "application/json" };
const page = '<!doctype html><html lang="en"><meta charset="utf-8"><title>bare</title><link rel="icon" href="data:,">';

/**
 * Serves a folder under /webmls/, the page under /, and scripts, by name, under
 * /scripts/. Under /nowhere the page has an origin that is nobody's, and so no storage.
 */
export async function serve(folder, scripts = {}) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    response.setHeader("Content-Security-Policy", "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:");
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Access-Control-Allow-Origin", "*"); // for the page that is nowhere
    if (path === "/nowhere") response.setHeader("Content-Security-Policy", "sandbox allow-scripts");
    if (path === "/" || path === "/nowhere") {
      response.setHeader("Content-Type", "text/html");
      response.end(page);
      return;
    }
    const script = path.startsWith("/scripts/") && scripts[path.slice("/scripts/".length)];
    if (script) {
      response.setHeader("Content-Type", "text/javascript");
      response.end(script);
      return;
    }
    try {
      if (!path.startsWith("/webmls/")) throw new Error("not below /webmls/");
      const content = await readFile(join(folder, path.slice("/webmls/".length)));
      response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
      response.end(content);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
