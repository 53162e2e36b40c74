// How long it takes from the beginning of the navigation until there is a client.
const folder = new URL(`/adapters/${location.hash.slice(1)}/`, location.href).href;
const { default: adapter } = await import(`${folder}adapter.js`);
const loaded = performance.now();
await adapter.init(folder);
await adapter.open("cold", { suite: 1 });
globalThis.cold = { loaded, ready: performance.now() };
