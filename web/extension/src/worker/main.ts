/**
 * The service worker: the one place where keys and state are. The browser starts it
 * when there is something to do and stops it when it likes; all listeners are therefore
 * set before anything is awaited, and nothing is kept in variables that must not be lost.
 */
import { fromBase64, scan, toBase64, type Found } from "../armor.js";
import type { Answer, DraftView, FoundAnswer, Request, SiteView, ToOwnPages, ToPage } from "../protocol.js";
import { refusal, Refused } from "./refusal.js";
import { requestOf, senderOf, type Sender } from "./senders.js";
import { Session } from "./session.js";
import { allow, enter, isAllowed, leave, originOf, register, sites } from "./sites.js";

let opening: Promise<Session> | undefined;

/** The session; opened with the first request, and again when that failed. */
function session(): Promise<Session> {
  opening ??= Session.open().catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

chrome.runtime.onMessage.addListener((message: unknown, sender, respond: (answer: Answer<unknown>) => void) => {
  answer(message, sender).then(
    (value) => respond({ value: value ?? null }),
    (error: unknown) => respond({ error: refusal(error) }),
  );
  return true; // the answer comes later
});

async function answer(message: unknown, from: chrome.runtime.MessageSender): Promise<unknown> {
  const sender = await senderOf(from);
  if (!sender) throw new Refused("NOT_ALLOWED", "The user has not allowed this page.");
  const request = requestOf(message, sender);
  if (!request) throw new Refused("BAD_REQUEST", "This is not what this page may ask.");
  return serve(request, sender);
}

async function serve(request: Request, sender: Sender): Promise<unknown> {
  switch (request.type) {
    case "hello":
      return true;
    case "found":
      return found(request.armors, tabOf(sender));
    case "draft":
      return newDraft(tabOf(sender), request.text);
    case "compose": {
      const { text } = await draftOf(request.token, tabOf(sender));
      const open = await session();
      return { text, groups: await open.writable(), enrolled: await open.enrolled() } satisfies DraftView;
    }
    case "seal-draft": {
      const tab = tabOf(sender);
      await draftOf(request.token, tab);
      const result = await (await session()).do(request.id, { kind: "seal", group: request.group, text: request.text });
      if (result.error) return result;
      // The content script takes it once, however often it is told.
      const inserted = await tell(tab, { type: "insert", token: request.token, armor: result.armor! });
      return { ...result, inserted: inserted === true };
    }
    case "close-draft": {
      const tab = tabOf(sender);
      await draftOf(request.token, tab);
      await chrome.storage.session.remove(draftKey(request.token));
      await tell(tab, { type: "close", token: request.token });
      return true;
    }
    case "view": {
      const { kind, id } = await shown(request.token, tabOf(sender));
      // What is not kept any more was of a group that was forgotten, or an invitation that was answered.
      return (await session()).view({ kind, id, state: kind === "card" || kind === "welcome" ? "open" : "foreign" });
    }
    case "state":
      return (await session()).state(await sites());
    case "site": {
      const origin = originOf(request.url);
      const view: SiteView = { allowed: false, running: false };
      if (origin === undefined) return view;
      const running = await isAllowed(origin, request.tab) && (await tell(request.tab, { type: "are-you-there" })) === true;
      return { origin, allowed: (await sites()).includes(origin), running } satisfies SiteView;
    }
    case "open-page": {
      const origin = originOf(request.url);
      if (origin === undefined) throw new Refused("NO_PAGE", "Extensions are not let into this page.");
      return enter(request.tab, origin);
    }
    case "allow-site": {
      const origin = originOf(request.origin);
      if (origin === undefined) throw new Refused("NO_PAGE", "Extensions are not let into this page.");
      return allow(origin, request.allowed);
    }
    case "insert":
      return (await tell(request.tab, { type: "insert", armor: request.armor })) === true;
    case "paste": {
      const views = await (await session()).paste(request.text);
      void changed(views.some(({ kind }) => kind === "commit"));
      return views;
    }
    case "history":
      return (await session()).history(request.group);
    case "do": {
      const result = await (await session()).do(request.id, request.what);
      void changed(["join", "posted", "forget", "enroll"].includes(request.what.kind));
      return result;
    }
  }
}

const tabOf = (sender: Sender): number => (sender as { tab: number }).tab;

/** Opens what a page shows. The page learns what became of each, and nothing of what it says. */
async function found(armors: readonly string[], tab: number): Promise<FoundAnswer[]> {
  const pieces = armors.map((armor): Found => scan(armor)[0] ?? { kind: "text", hint: "", message: undefined, start: 0, end: 0 });
  const open = await session();
  const taken = await open.take(pieces);
  void changed(taken.some(({ kind, state }) => kind === "commit" && state === "open"), tab);
  return Promise.all(
    taken.map(async ({ id, kind, state }) => {
      if (state !== "open" && state !== "ahead") return { state };
      const proof = await open.store.vouch(`${tab}.${kind}.${id}`);
      return { state, token: `${kind}.${id}.${toBase64(proof)}` };
    }),
  );
}

/** What a frame may show, which has its token from the content script of the same tab. */
async function shown(token: string, tab: number): Promise<Pick<Found, "kind"> & { id: string }> {
  const [kind = "", id = "", proof = ""] = token.split(".");
  const bytes = fromBase64(proof);
  if (!bytes || !(await (await session()).store.vouched(`${tab}.${kind}.${id}`, bytes))) throw new Refused("NOT_ALLOWED", "This is not for this page.");
  return { kind: kind as Found["kind"], id };
}

const draftKey = (token: string): string => `draft:${token}`;

/** Keeps what the user has begun to write in a page, for the composing frame. */
async function newDraft(tab: number, text: string): Promise<string> {
  const token = toBase64(crypto.getRandomValues(new Uint8Array(18)));
  const kept = Object.entries(await chrome.storage.session.get()).filter(([key, draft]) => key.startsWith("draft:") && (draft as Draft).tab === tab);
  await chrome.storage.session.remove(kept.map(([key]) => key));
  await chrome.storage.session.set({ [draftKey(token)]: { tab, text } satisfies Draft });
  return token;
}

interface Draft {
  tab: number;
  text: string;
}

async function draftOf(token: string, tab: number): Promise<Draft> {
  const { [draftKey(token)]: draft } = (await chrome.storage.session.get(draftKey(token))) as Record<string, Draft | undefined>;
  if (draft?.tab !== tab) throw new Refused("NOT_ALLOWED", "This is not for this page.");
  return draft;
}

function tell(tab: number, message: ToPage): Promise<unknown> {
  return chrome.tabs.sendMessage(tab, message, { frameId: 0 }).catch(() => undefined);
}

/** Tells the popup and the frames, and, when groups have moved on, all pages but one. */
async function changed(groups: boolean, but?: number): Promise<void> {
  const waiting = await (await session()).waiting();
  await chrome.action.setBadgeText({ text: waiting > 0 ? String(waiting) : "" });
  await chrome.runtime.sendMessage({ type: "state-changed" } satisfies ToOwnPages).catch(() => {}); // nobody is there
  if (!groups) return;
  for (const { id } of await chrome.tabs.query({})) if (id !== undefined && id !== but) await tell(id, { type: "changed" });
}

const menu = "seal";

chrome.runtime.onInstalled.addListener(() => {
  chrome.contextMenus.create({ id: menu, title: "Seal for a group…", contexts: ["editable", "selection"] });
  void chrome.action.setBadgeBackgroundColor({ color: "#3f5bd6" });
  void register();
});
chrome.runtime.onStartup.addListener(() => void register());
chrome.permissions.onAdded.addListener(({ origins = [] }) => void origins.reduce((before, one) => before.then(() => allow(one.replace(/\/\*$/, ""), true)), Promise.resolve()));
chrome.permissions.onRemoved.addListener(({ origins = [] }) => void origins.reduce((before, one) => before.then(() => allow(one.replace(/\/\*$/, ""), false)), Promise.resolve()));
chrome.tabs.onRemoved.addListener((tab) => void leave(tab));

chrome.contextMenus.onClicked.addListener(({ menuItemId, selectionText = "", frameId = 0 }, tab) => {
  // Within a frame of the page the content script is not: what is selected there is taken from the browser.
  if (menuItemId === menu && tab) void compose(tab, frameId === 0 ? undefined : selectionText);
});
chrome.commands.onCommand.addListener((command, tab) => {
  if (command === menu && tab) void compose(tab, undefined);
});

/** Opens the composing frame over a page. The click or the key has let the extension into it. */
async function compose({ id, url }: chrome.tabs.Tab, selected: string | undefined): Promise<void> {
  const origin = originOf(url);
  if (id === undefined || origin === undefined) return;
  await enter(id, origin);
  await tell(id, { type: "compose", ...(selected !== undefined && { token: await newDraft(id, selected) }) });
}
