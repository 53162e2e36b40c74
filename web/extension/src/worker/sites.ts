/**
 * Sites: where the extension may work. The user allows a site for good, for which the browser asks as
 * well, or this page of a tab, by opening the popup or the menu over it. Nobody else is answered.
 */

const key = "sites";
const granted = (tab: number): string => `tab:${tab}`;
const pattern = (origin: string): string => `${origin}/*`;
const script = { js: ["content.js"], css: ["content.css"] };

/** The origins that are always allowed. */
export async function sites(): Promise<string[]> {
  const { [key]: list = [] } = (await chrome.storage.local.get(key)) as { [key]?: string[] };
  return list;
}

/** Allows a site for good, or no longer. The browser's permission is asked for in the popup, where the user has clicked. */
export async function allow(origin: string, allowed: boolean): Promise<void> {
  if (originOf(origin) !== origin) return; // a pattern for many sites
  if (allowed && !(await chrome.permissions.contains({ origins: [pattern(origin)] }))) return;
  const others = (await sites()).filter((other) => other !== origin);
  await chrome.storage.local.set({ [key]: allowed ? [...others, origin].sort() : others });
  if (!allowed) await chrome.permissions.remove({ origins: [pattern(origin)] }).catch(() => false); // one that the manifest demands
  await register();
}

/** Has the browser put the content script into the pages of allowed sites, and of no others. */
export async function register(): Promise<void> {
  const wanted = await sites();
  const there = (await chrome.scripting.getRegisteredContentScripts()).map(({ id }) => id);
  const gone = there.filter((id) => !wanted.includes(id));
  const missing = wanted.filter((origin) => !there.includes(origin));
  if (gone.length > 0) await chrome.scripting.unregisterContentScripts({ ids: gone });
  await chrome.scripting.registerContentScripts(missing.map((origin) => ({ id: origin, matches: [pattern(origin)], runAt: "document_idle", ...script })));
}

/** Lets the content script into the page of a tab, for which the browser has the user's consent. */
export async function enter(tab: number, origin: string): Promise<void> {
  await chrome.storage.session.set({ [granted(tab)]: origin });
  const there = await chrome.tabs.sendMessage(tab, { type: "are-you-there" }, { frameId: 0 }).catch(() => undefined);
  if (there === true) return;
  await chrome.scripting.insertCSS({ target: { tabId: tab }, files: script.css });
  await chrome.scripting.executeScript({ target: { tabId: tab }, files: script.js });
}

/** Forgets what was allowed for a tab. */
export async function leave(tab: number): Promise<void> {
  await chrome.storage.session.remove(granted(tab));
}

/** Whether a page of an origin in a tab is answered. */
export async function isAllowed(origin: string, tab: number): Promise<boolean> {
  const { [granted(tab)]: grant } = await chrome.storage.session.get(granted(tab));
  if (grant === origin) return true;
  return (await sites()).includes(origin) && (await chrome.permissions.contains({ origins: [pattern(origin)] }));
}

/** The origin of a page that extensions are let into. */
export function originOf(url: string | undefined): string | undefined {
  if (!url || !URL.canParse(url)) return undefined;
  const { protocol, origin } = new URL(url);
  return protocol === "https:" || protocol === "http:" ? origin : undefined;
}
