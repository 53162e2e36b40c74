/**
 * The content script: finds armor in the page, and puts frames of the extension beside it
 * that show what it says; takes text from a field, and puts armor into it. It holds no key and
 * sees no opened text: that is only in the frames, which are of another origin than the page.
 */
import { mayHold, scan } from "../armor.js";
import type { Answer, FoundAnswer, PageRequest, ToPage } from "../protocol.js";
import { limits } from "../protocol.js";
import { Field } from "./field.js";
import { Composer, FieldButton, Marker } from "./frame.js";

/** A piece of armor in the page. */
interface Piece {
  armor: string;
  /** The last of the nodes that hold it, and the innermost element around them. */
  last: Text;
  around: Element;
  /** Whether there is nothing else in that element. */
  alone: boolean;
}

/** What was asked about a piece, and what shows it. */
interface Shown {
  marker: Marker;
  state: FoundAnswer["state"];
}

/** How far up from a text node the rest of its armor is looked for. */
const levels = 6;
/** How long the page must be quiet before it is read again, in ms, and how long that may be put off. */
const pause = 120;
const longestPause = 1000;

const shown = new Map<string, Shown[]>();
const settled = new Set<FoundAnswer["state"]>(["open", "damaged"]);
/** Whether what did not open may open now. */
let reconsider = false;
let composer: Composer | undefined;
let field: Field | undefined;
let button: FieldButton | undefined;

/** Asks the worker, once: what it does not answer is asked again when the page is read again. */
async function ask<T>(request: PageRequest): Promise<T | undefined> {
  try {
    const answer = await chrome.runtime.sendMessage<PageRequest, Answer<T> | undefined>(request);
    if (answer && "value" in answer) return answer.value;
    if (answer?.error.code === "NOT_ALLOWED") stop();
  } catch {
    if (!chrome.runtime?.id) stop(); // the extension was updated or removed
    else later();
  }
  return undefined;
}

/** Finds all armor under a node. What the user is writing is left alone. */
function find(root: Node): Piece[] {
  const pieces: Piece[] = [];
  const seen = new Set<Element>();
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    if (!node.data.includes("mls1") && !mayHold(node.data)) continue;
    // The rest may be in other nodes, where the page has broken it up.
    let element = node.parentElement;
    for (let n = 0; element && n < levels && !seen.has(element); n++, element = element.parentElement) {
      if (element.closest("[contenteditable]:not([contenteditable=false]), script, style, noscript, template") || element === document.documentElement) break;
      const found = piecesIn(element);
      if (found.length === 0) continue;
      for (let inner: Element | null = node.parentElement; inner && inner !== element.parentElement; inner = inner.parentElement) seen.add(inner);
      for (const piece of found) if (!pieces.some((other) => other.last === piece.last && other.armor === piece.armor)) pieces.push(piece);
      break;
    }
  }
  return pieces;
}

function piecesIn(element: Element): Piece[] {
  const nodes: { node: Text; start: number }[] = [];
  let text = "";
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode() as Text | null; node; node = walker.nextNode() as Text | null) {
    nodes.push({ node, start: text.length });
    text += node.data;
  }
  return scan(text).map(({ start, end }) => {
    const holding = nodes.filter((one) => one.start < end && one.start + one.node.length > start);
    const last = holding.at(-1)!.node;
    let around = last.parentElement!;
    while (!around.contains(holding[0]!.node)) around = around.parentElement!;
    return { armor: text.slice(start, end), last, around, alone: (around.textContent ?? "").trim().length === end - start };
  });
}

let reading = false;
let readAgain = false;

/** Reads the page, asks about what is new, and shows what came of it. */
async function read(): Promise<void> {
  if (reading) {
    readAgain = true;
    return;
  }
  reading = true;
  const again = reconsider;
  reconsider = false;
  try {
    for (const [armor, list] of shown) {
      const there = list.filter(({ marker }) => marker.connected);
      if (there.length > 0) shown.set(armor, there);
      else shown.delete(armor);
    }
    const fresh = find(document.body).filter(({ armor, around, last }) => {
      const mark = shown.get(armor)?.find(({ marker }) => marker.isFor(around, last));
      return !mark || (again && !settled.has(mark.state));
    });
    for (let at = 0; at < fresh.length && observer; ) {
      const batch: Piece[] = [];
      for (let size = 0; at < fresh.length && batch.length < limits.items; at++) {
        size += fresh[at]!.armor.length;
        if (batch.length > 0 && size > limits.armor) break;
        batch.push(fresh[at]!);
      }
      const answers = await ask<FoundAnswer[]>({ type: "found", armors: batch.map(({ armor }) => armor) });
      if (!answers) break;
      for (const [i, answer] of answers.entries()) show(batch[i]!, answer);
    }
  } finally {
    reading = false;
    if (readAgain) {
      readAgain = false;
      later();
    }
  }
}

function show({ armor, last, around, alone }: Piece, { state, token }: FoundAnswer): void {
  if (!last.isConnected) return;
  const list = shown.get(armor) ?? [];
  shown.set(armor, list);
  const there = list.find(({ marker }) => marker.isFor(around, last));
  if (there) {
    if (there.state !== state) there.marker.show(state, token);
    there.state = state;
    return;
  }
  const marker = new Marker(last, around, alone);
  marker.show(state, token);
  list.push({ marker, state });
}

let timer: ReturnType<typeof setTimeout> | undefined;
let since = 0;

/** Reads the page once it has come to rest. */
function later(): void {
  if (!observer) return;
  const now = Date.now();
  if (timer === undefined) since = now;
  else clearTimeout(timer);
  timer = setTimeout(
    () => {
      timer = undefined;
      void read();
    },
    now - since > longestPause ? 0 : pause,
  );
}

let observer: MutationObserver | undefined;

function start(): void {
  button ??= new FieldButton(() => void compose(undefined));
  Field.watch(
    (element) => void (observer && button?.at(element)),
    () => button?.hide(),
  );
  observer = new MutationObserver(later);
  observer.observe(document.documentElement, { subtree: true, childList: true, characterData: true });
  document.addEventListener("visibilitychange", () => {
    reconsider = true;
    later();
  });
  void read();
}

/** Ends, where the extension may no longer work. */
function stop(): void {
  observer?.disconnect();
  observer = undefined;
  clearTimeout(timer);
  composer?.close();
  composer = undefined;
  button?.hide();
  for (const list of shown.values()) for (const { marker } of list) marker.remove();
  shown.clear();
}

/** Opens the composing frame with what is selected, or is in the field. */
async function compose(token: string | undefined): Promise<void> {
  field = token === undefined ? Field.focused() : undefined;
  const text = token === undefined ? (field?.text() ?? String(getSelection())).slice(0, limits.text) : "";
  const draft = token ?? (await ask<string>({ type: "draft", text }));
  if (draft === undefined) return;
  composer?.close();
  composer = new Composer(draft);
}

chrome.runtime.onMessage.addListener((message: ToPage, sender, respond: (answer: boolean) => void) => {
  if (sender.id !== chrome.runtime.id) return;
  switch (message.type) {
    case "are-you-there":
      if (!observer) start();
      return respond(true);
    case "compose":
      void compose(message.token);
      return respond(true);
    case "insert": {
      if (message.token === undefined) return respond((Field.focused() ?? Field.last())?.insert(message.armor) ?? false);
      if (composer?.token !== message.token) return respond(false);
      const inserted = field?.insert(message.armor) ?? false;
      if (inserted) {
        composer.close();
        composer = undefined;
      }
      return respond(inserted);
    }
    case "close":
      if (composer?.token === message.token) {
        composer.close();
        composer = undefined;
        field?.focus();
      }
      return respond(true);
    case "changed":
      reconsider = true;
      later();
      return respond(true);
  }
});

/** Ends the script that was put in before, such as that of a former version. */
declare global {
  var webmlsStop: (() => void) | undefined;
}

globalThis.webmlsStop?.();
globalThis.webmlsStop = stop;
start();
