// What is measured. `adapter` names a module of adapters/, which says how an
// implementation is driven; two entries may share one, as two variants.

/**
 * ours: one of WebMLS; the first of these is what targets are about.
 * stores: whether an operation is on the disk when it is done.
 * browser: the only one that has it.
 * suites: those that it has, of those measured.
 */
export const implementations = {
  webmls: { adapter: "webmls", label: "WebMLS, IndexedDB", ours: true, stores: true, suites: [1, 2] },
  "core-crypto": { adapter: "core-crypto", label: "core-crypto 10.3, IndexedDB", package: "@wireapp/core-crypto", stores: true, suites: [1, 2] },
  "ts-mls-1": { adapter: "ts-mls-1", label: "ts-mls 1.6, no storage", package: "ts-mls-1", suites: [1, 2] },
  "ts-mls-2": { adapter: "ts-mls-2", label: "ts-mls 2.0.0-rc.10, no storage", package: "ts-mls-2", suites: [1, 2] },
};
