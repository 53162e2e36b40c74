// How long it takes from the beginning of the navigation until there is a client. It
// is built once for each adapter. The server is told: nobody else looks.
import adapter from "adapter";

const loaded = performance.now();
await adapter.init(new URL(".", location.href).href);
await adapter.open("cold", { suite: 1 });
const ready = performance.now();
await fetch(`/took/${loaded}/${ready}`);
