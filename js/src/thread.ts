/** Threads: where a program runs, and where there can be a worker for it. */

/** Where a program runs: in a dedicated worker, or in the thread that calls it. */
export type Thread = "worker" | "current";

/** What an application that does not say gets: a worker, where there are any. A service worker has none. */
export function defaultThread(): Thread {
  return typeof Worker === "function" ? "worker" : "current";
}

/**
 * Where the script of a worker is when a bundle is no module, and cannot know
 * where it is itself: beside the page.
 */
export function besidePage(script: string): URL {
  return new URL(script, location.href);
}
