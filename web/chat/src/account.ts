// The names known on this device. Each has its own databases, so that several
// people, or one person in several windows, can use one browser profile.
import { Delivery } from "./delivery.js";
import type { Account, History } from "./history.js";
import { newDevice } from "./names.js";

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

/** The databases of a name: the app's own, and that of webmls (webmls/sync has one beside it). */
export function databasesOf(name: string): { history: string; mls: string } {
  return { history: `webmls-chat/2/${name}`, mls: `webmls-chat-mls/2/${name}` };
}

/**
 * Finds the account in the history, or makes one: a random secret, which claims
 * the name at the service, or that of another device of the same person.
 */
export async function openAccount(history: History, name: string, secret?: string): Promise<Account> {
  const found = await history.account();
  if (found && (found.confirmed || secret === undefined)) return found;
  const account: Account = { name, token: secret ?? randomToken(), device: newDevice(), confirmed: false };
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
