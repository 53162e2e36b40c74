// The HostKeys of js/src/host/keys.ts over a store in memory. The Makefile makes
// one script of both, whose value is `open`.
import { openKeys } from "../../../js/src/host/keys.ts";

/** A store of keys that keeps all, as IndexedDB does: as clones. */
function memoryStore(wrapsKeys) {
  const keys = new Map();
  return {
    wrapsKeys,
    keeps: async (list) => list.map((key) => structuredClone(key) instanceof CryptoKey),
    adopt: (name, key) => keys.set(name, structuredClone(key)),
    forget: (names) => names.forEach((name) => keys.delete(name)), // no commit keeps keys here
    made: () => undefined,
    key: async (name) => keys.get(name),
  };
}

/** Opens keys. `settings` are those of HostKeys that are to be others. */
export async function open({ wrapsKeys = false, requireNonExtractable = false, ...settings } = {}) {
  const store = memoryStore(wrapsKeys);
  const keys = await openKeys(store, requireNonExtractable);
  const { algorithms, kept } = settings;
  const given = { ...(algorithms && { nist: async () => algorithms }), ...(kept && { nistKept: async () => kept }) };
  return { ...keys, ...given, ...settings, store };
}
