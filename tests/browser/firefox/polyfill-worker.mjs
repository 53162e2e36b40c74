// A worker that makes a transcript. See polyfill-page.mjs.
import { transcriptHere } from "./polyfill-page.mjs";

onmessage = async ({ data: which }) => {
  try {
    postMessage({ entries: await transcriptHere(which) });
  } catch (error) {
    postMessage({ error: `${error.name}: ${error.message}\n${error.stack}` });
  }
};
