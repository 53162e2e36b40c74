// The names known on this device. Each has its own databases, so that several
// people, or one person in several windows, can use one browser profile.
import { Delivery } from "./delivery.js";
import type { Account, History } from "./history.js";

const listKey = "webmls-chat.names";

/** The names that were used on this device, the last one first. */
export function knownNames(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(listKey) ?? "[]");
    return Array.isArray(list) ? list.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

export function rememberName(name: string): void {
  localStorage.setItem(listKey, JSON.stringify([name, ...knownNames().filter((other) => other !== name)]));
}

/** Names are compared letter for letter, so one way of writing them is taken. */
export function normalizeName(name: string): string {
  return name.normalize("NFC").replace(/\s+/g, " ").trim();
}

/** The databases of a name: the app's own, and that of webmls. */
export function databasesOf(name: string): { history: string; mls: string } {
  return { history: `webmls-chat/${name}`, mls: `webmls/${name}` };
}

/** Finds the account in the history, or makes one: a random token, which claims the name at the service. */
export async function openAccount(history: History, name: string): Promise<Account> {
  const found = await history.account();
  if (found) return found;
  const account: Account = { name, token: randomToken(), confirmed: false };
  await history.saveAccount(account); // before the service sees the token, or the name would be lost with it
  return account;
}

/**
 * Connects. With a name that is not yet this device's, it waits for the
 * service to give it; with one that is, the connection may come later.
 */
export async function connect(history: History, account: Account): Promise<Delivery> {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = url.hash = "";
  const delivery = new Delivery(url.href, account);
  const connected = delivery.connect();
  if (!account.confirmed) {
    try {
      await connected;
    } catch (error) {
      delivery.close();
      throw error;
    }
    await history.saveAccount({ ...account, confirmed: true });
  }
  return delivery;
}

function randomToken(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
}
