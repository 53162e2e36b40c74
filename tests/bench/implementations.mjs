// What is measured. `adapter` names a module of adapters/, which says how an
// implementation is driven; two entries may share one, as two variants.

/**
 * - ours: one of WebMLS. The one that targets.mjs is about is `webmls`.
 * - package: what it is called in package.json.
 * - variant: an option that the adapter knows; a cold start and memory are measured without one.
 * - stores: an operation is in IndexedDB when it is done, or soon after.
 * - browser: the only one that has it; else it is bundled and loaded.
 */
export const implementations = {
  webmls: { adapter: "webmls", label: "WebMLS", ours: true, stores: true, suites: [1, 2] },
  "webmls-memory": { adapter: "webmls", variant: "memory", label: "WebMLS in memory", ours: true, suites: [1, 2] },
  "core-crypto": { adapter: "core-crypto", label: "core-crypto", package: "@wireapp/core-crypto", stores: true, suites: [1, 2] },
  "ts-mls-1": { adapter: "ts-mls-1", label: "ts-mls 1", package: "ts-mls-1", suites: [1, 2] },
  "ts-mls-2": { adapter: "ts-mls-2", label: "ts-mls 2", package: "ts-mls-2", suites: [1, 2] },
  firefox: { adapter: "firefox", label: "Firefox's own", browser: "firefox", suites: [1] },
};
