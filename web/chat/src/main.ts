// The page: asks for a name, or takes it from the address, and opens its session.
import { normalizeName } from "./account.js";
import { Session } from "./session.js";
import { alertOf } from "./view/alerts.js";
import { showShell } from "./view/shell.js";
import { showStart, showWaiting } from "./view/start.js";

const root = document.getElementById("app")!;
const parameter = "name";

window.addEventListener("unhandledrejection", (event) => alertOf(event.reason));

function start(): void {
  const name = normalizeName(new URL(location.href).searchParams.get(parameter) ?? "");
  if (name) void resume(name);
  else showStart(root, enter);
}

/** Goes on as the name in the address, as after a reload. */
async function resume(name: string): Promise<void> {
  showWaiting(root, `Opening the chat as ${name}…`);
  if (!(await enter(name))) showStart(root, enter);
}

/** Signs in. The name goes into the address, so that a reload finds it. */
async function enter(name: string): Promise<boolean> {
  try {
    await alone(name, () => showWaiting(root, `${name} is open in another tab. Close it there to go on here.`));
    const session = await Session.open(name, alertOf);
    const url = new URL(location.href);
    if (url.searchParams.get(parameter) !== name) {
      url.searchParams.set(parameter, name);
      url.hash = "";
      history.replaceState(null, "", url);
    }
    document.title = `${name} · WebMLS chat`;
    showShell(root, session);
    return true;
  } catch (error) {
    alertOf(error);
    return false;
  }
}

let release: (() => void) | undefined;

/** Waits until no other tab has the name, and keeps it until the page ends. */
async function alone(name: string, waiting: () => void): Promise<void> {
  release?.();
  if (!navigator.locks) return;
  const lock = `webmls-chat/${name}`;
  const take = (options: LockOptions): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const held = navigator.locks.request(lock, options, (granted) => {
        resolve(granted !== null);
        return granted ? new Promise<void>((free) => (release = free)) : undefined;
      });
      held.catch(reject);
    });
  if (await take({ ifAvailable: true })) return;
  waiting();
  await take({});
}

start();
