// The page of a signed-in user: the list of conversations, and the open one.
// Which one is open stands in the address, so that a reload finds it.
import type { Conversation } from "../conversation.js";
import type { Session } from "../session.js";
import { ConversationView } from "./conversation.js";
import { fill, h, icon } from "./element.js";
import { Sidebar } from "./sidebar.js";

export function showShell(root: Element, session: Session): void {
  const stage = h("div", { class: "stage" });
  const shell = h("div", { class: "shell" });
  let open: ConversationView | undefined;

  const select = (conversation: Conversation | undefined): void => {
    const hash = conversation ? `#${conversation.id}` : "";
    if (location.hash !== hash) history.pushState(null, "", location.pathname + location.search + hash);
    show();
  };

  const sidebar = new Sidebar(session, select);

  const show = (): void => {
    const conversation = session.find(location.hash.slice(1));
    shell.classList.toggle("reading", conversation !== undefined);
    if (!conversation || open?.conversation !== conversation) {
      open?.close();
      open = conversation && new ConversationView(conversation, () => select(undefined));
      fill(stage, open?.element ?? nothingOpen(session.conversations.length > 0));
      open?.opened();
    }
    sidebar.mark(conversation);
  };

  fill(shell, sidebar.element, stage);
  fill(root, shell);
  window.addEventListener("popstate", show);
  window.addEventListener("hashchange", show);
  session.onChange(() => {
    sidebar.update();
    if (!open) show(); // an invitation may be to the group in the address
  });
  if (!session.find(location.hash.slice(1)) && session.conversations[0] && matchMedia("(min-width: 46rem)").matches) {
    history.replaceState(null, "", `${location.pathname}${location.search}#${session.conversations[0].id}`);
  }
  show();
}

function nothingOpen(some: boolean): HTMLElement {
  return h(
    "main",
    { class: "nothing" },
    h("div", { class: "emblem" }, icon("lock")),
    h("p", {}, some ? "Choose a conversation." : "Start a group and invite somebody by name, or wait until somebody invites you."),
  );
}
