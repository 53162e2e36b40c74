/** The popup: groups, people, what is to be posted, and where the extension may work. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask } from "../ask.js";
import type { SiteView, StateView } from "../protocol.js";
import { onChange } from "../view/changes.js";
import { Lock } from "../view/message.js";
import { Enroll } from "./enroll.js";
import { Group } from "./group.js";
import { Groups, Invitations } from "./groups.js";
import { Open } from "./open.js";
import { People } from "./people.js";
import { Site } from "./site.js";

export type Tab = "groups" | "people" | "open";

const tabs: [Tab, string][] = [
  ["groups", "Groups"],
  ["people", "People"],
  ["open", "Open"],
];

function App() {
  const [state, setState] = useState<StateView>();
  const [failure, setFailure] = useState<string>();
  const [tab, setTab] = useState<Tab>("groups");
  const [group, setGroup] = useState<string>();
  const [page, setPage] = useState<{ tab: number; url: string; site: SiteView }>();

  useEffect(() => {
    let loading = false;
    let again = false;
    const load = async () => {
      again = loading;
      if (loading) return;
      loading = true;
      try {
        setState(await ask<StateView>({ type: "state" }));
      } catch (error) {
        setFailure((error as Error).message);
      }
      loading = false;
      if (again) void load();
    };
    void load();
    return onChange(() => void load());
  }, []);

  const look = async () => {
    const [active] = await chrome.tabs.query({ active: true, currentWindow: true });
    if (active?.id === undefined) return;
    const url = active.url ?? "";
    setPage({ tab: active.id, url, site: await ask<SiteView>({ type: "site", tab: active.id, url }) });
  };
  useEffect(() => void look().catch(() => {}), []);

  if (!state) return <main class="empty">{failure !== undefined && <p class="failure">{failure}</p>}</main>;
  if (!state.me) return <Enroll />;
  const chosen = state.groups.find(({ id }) => id === group);
  if (chosen) return <Group group={chosen} people={state.people} page={page} back={() => setGroup(undefined)} />;
  return (
    <>
      <header class="top">
        <Lock />
        <h1>WebMLS</h1>
        <span class="me" title={`Safety number ${state.me.number}`}>
          {state.me.name}
        </span>
      </header>
      {page && <Site {...page} changed={look} />}
      <nav role="tablist" aria-label="WebMLS">
        {tabs.map(([name, title]) => (
          <button key={name} type="button" role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls="panel" onClick={() => setTab(name)}>
            {title}
          </button>
        ))}
      </nav>
      <main>
        <section id="panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "groups" && (
          <>
            <Invitations invitations={state.invitations} joined={setGroup} />
            <Groups groups={state.groups} open={setGroup} />
          </>
        )}
        {tab === "people" && <People me={state.me} people={state.people} />}
        {tab === "open" && <Open />}
        </section>
      </main>
    </>
  );
}

render(<App />, document.getElementById("app")!);
