// Counts the bytes that are put into IndexedDB, and keeps hold of WebAssembly memories,
// in the page and in its workers, which the server hands out with this script in front.
// It is loaded only where no time is taken.

const memories = new Set();
let written = 0;

/** The bytes of a value, as a store has to keep them: of its contents, not of what frames them. */
function sizeOf(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  if (value instanceof Blob) return value.size;
  if (typeof value === "string") return value.length;
  if (typeof value === "number" || typeof value === "bigint") return 8;
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((sum, part) => sum + sizeOf(part), 0);
}

for (const name of ["put", "add"]) {
  const original = IDBObjectStore.prototype[name];
  IDBObjectStore.prototype[name] = function (value, ...key) {
    written += sizeOf(value) + key.reduce((sum, part) => sum + sizeOf(part), 0);
    return original.call(this, value, ...key);
  };
}

const keep = (object) => {
  for (const value of Object.values(object ?? {})) if (value instanceof WebAssembly.Memory) memories.add(value);
};
for (const name of ["instantiate", "instantiateStreaming"]) {
  const original = WebAssembly[name];
  WebAssembly[name] = async (source, imports) => {
    Object.values(imports ?? {}).forEach(keep);
    const result = await original.call(WebAssembly, source, imports);
    keep((result.instance ?? result).exports);
    return result;
  };
}

globalThis.Worker = class extends Worker {
  constructor(url, options) {
    const { origin, pathname } = new URL(url, location.href);
    super(options?.type === "module" && origin === location.origin ? `/instrumented${pathname}` : url, options);
  }
};

// Whoever is asked tells what it has: page and workers alike.
const channel = new BroadcastChannel("instrument");
const own = () => ({ written, memory: [...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0) });

if (typeof document === "undefined") {
  const id = crypto.randomUUID();
  channel.onmessage = ({ data }) => data === "ask" && channel.postMessage({ id, ...own() });
} else {
  const workers = new Map();
  let answered;
  channel.onmessage = ({ data }) => {
    workers.set(data.id, data);
    answered.add(data.id);
  };
  const ask = async () => {
    answered = new Set();
    channel.postMessage("ask");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const sum = own();
    for (const [id, { written, memory }] of workers) {
      sum.written += written;
      if (answered.has(id)) sum.memory += memory;
    }
    return sum;
  };
  /** What was written so far, and how large the memories are; if asked to settle, once nothing is being written any more. */
  globalThis.meter = async (settle = true) => {
    for (let before = await ask(); ; ) {
      const now = settle ? await ask() : before;
      if (now.written === before.written) return now;
      before = now;
    }
  };
}
