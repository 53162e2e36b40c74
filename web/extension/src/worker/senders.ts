/**
 * Who may ask what. A request is answered by what the browser says of its sender, not by what it
 * says of itself; each is checked for form and size before anything is done with it.
 */
import { longestArmor } from "../armor.js";
import { limits, type Operation, type Request } from "../protocol.js";
import { isAllowed, originOf } from "./sites.js";

/** Whom the browser says a request is from. */
export type Sender =
  /** The content script, in the top frame of a page that the user has allowed. */
  | { role: "page"; tab: number; origin: string }
  /** A frame of the extension in a page. */
  | { role: "compose" | "reader"; tab: number }
  | { role: "popup" };

/** Says who a sender is; undefined for whoever is not answered. */
export async function senderOf(sender: chrome.runtime.MessageSender): Promise<Sender | undefined> {
  if (sender.id !== chrome.runtime.id || !sender.url) return undefined;
  const { origin, pathname } = new URL(sender.url);
  if (sender.origin === location.origin || origin === location.origin) {
    const tab = sender.tab?.id;
    if (pathname === "/popup.html") return { role: "popup" };
    if (tab === undefined) return undefined;
    if (pathname === "/compose.html") return { role: "compose", tab };
    if (pathname === "/reader.html") return { role: "reader", tab };
    return undefined;
  }
  const page = originOf(sender.url);
  const tab = sender.tab?.id;
  if (page === undefined || tab === undefined || sender.frameId !== 0) return undefined;
  if (sender.origin !== undefined && sender.origin !== page) return undefined; // a sandboxed page
  return (await isAllowed(page, tab)) ? { role: "page", tab, origin: page } : undefined;
}

type Check = (value: unknown) => boolean;

const text = (most: number): Check => (value) => typeof value === "string" && value.length <= most;
const some = (most: number): Check => (value) => typeof value === "string" && value.length > 0 && value.length <= most;
const number: Check = (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const boolean: Check = (value) => typeof value === "boolean";
const list = (most: number, each: Check): Check => (value) => Array.isArray(value) && value.length <= most && value.every(each);
const shape =
  (fields: Record<string, Check>): Check =>
  (value) =>
    typeof value === "object" && value !== null && Object.entries(fields).every(([name, check]) => check((value as Record<string, unknown>)[name]));

const id = some(128);
const name: Check = (value) => some(limits.name)(value) && (value as string).trim() === value;
const inGroup = { group: id };
const ofChange = { group: id, change: id };

const operations: Record<Operation["kind"], Record<string, Check>> = {
  enroll: { name },
  create: { name },
  seal: { ...inGroup, text: some(limits.text) },
  invite: { ...inGroup, people: (value) => list(100, id)(value) && (value as unknown[]).length > 0 },
  remove: { ...inGroup, leaf: number },
  renew: inGroup,
  posted: ofChange,
  withdraw: ofChange,
  settle: ofChange,
  leave: inGroup,
  forget: inGroup,
  join: { invitation: id },
  decline: { invitation: id },
  verify: { key: id, verified: boolean },
  "forget-person": { key: id },
  "new-card": {},
};

const operation: Check = (value) => {
  const kind = (value as Operation | null)?.kind;
  return typeof kind === "string" && Object.hasOwn(operations, kind) && shape(operations[kind])(value);
};

const armors: Check = (value) =>
  list(limits.items, some(longestArmor))(value) && (value as string[]).reduce((sum, one) => sum + one.length, 0) <= limits.armor;

const requests: Record<Request["type"], { from: Sender["role"]; fields: Record<string, Check> }> = {
  hello: { from: "page", fields: {} },
  found: { from: "page", fields: { armors } },
  draft: { from: "page", fields: { text: text(limits.text) } },
  compose: { from: "compose", fields: { token: id } },
  "seal-draft": { from: "compose", fields: { token: id, id, group: id, text: some(limits.text) } },
  "close-draft": { from: "compose", fields: { token: id } },
  view: { from: "reader", fields: { token: some(512) } },
  state: { from: "popup", fields: {} },
  site: { from: "popup", fields: { tab: number, url: text(8192) } },
  "open-page": { from: "popup", fields: { tab: number, url: text(8192) } },
  "allow-site": { from: "popup", fields: { origin: some(2048), allowed: boolean } },
  insert: { from: "popup", fields: { tab: number, armor: some(longestArmor) } },
  paste: { from: "popup", fields: { text: text(limits.paste) } },
  history: { from: "popup", fields: inGroup },
  do: { from: "popup", fields: { id, what: operation } },
};

/** The request, where it is one that this sender may make. */
export function requestOf(message: unknown, sender: Sender): Request | undefined {
  const type = (message as Request | null)?.type;
  if (typeof type !== "string" || !Object.hasOwn(requests, type)) return undefined;
  const { from, fields } = requests[type];
  return from === sender.role && shape(fields)(message) ? (message as Request) : undefined;
}
