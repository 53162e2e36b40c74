// Trusted Types: index.html has the browser refuse every string that would become markup or
// a script, but for what passes here. That is the address of the worker of webmls.

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

const { trustedTypes } = globalThis as { trustedTypes?: Factory };
trustedTypes?.createPolicy("default", {
  createScriptURL(url) {
    const worker = new URL("worker.js", import.meta.url).href;
    if (url !== worker) throw new TypeError(`not a script of this page: ${url}`);
    return worker;
  },
});
