/** The page that the popup was opened over, and what the extension may do there. */
import { useState } from "preact/hooks";
import { ask } from "../ask.js";
import type { SiteView } from "../protocol.js";
import { Failure } from "./parts.js";

interface Props {
  tab: number;
  url: string;
  site: SiteView;
  changed: () => Promise<void>;
}

export function Site({ tab, url, site: { origin, allowed, running }, changed }: Props) {
  const [failure, setFailure] = useState<string>();
  if (origin === undefined) return null;
  const attempt = async (work: () => Promise<unknown>) => {
    setFailure(undefined);
    try {
      await work();
      await changed();
    } catch (error) {
      setFailure((error as Error).message);
    }
  };
  const always = async (wanted: boolean) => {
    // The browser asks the user; for that this must be the first thing that is done.
    if (wanted && !(await chrome.permissions.request({ origins: [`${origin}/*`] }))) return;
    await ask({ type: "allow-site", origin, allowed: wanted });
    if (wanted) await ask({ type: "open-page", tab, url });
  };
  return (
    <section class="site" aria-label="This page">
      <span class="grow host" title={origin}>
        {new URL(origin).host}
      </span>
      {running ? (
        <span class="badge good">open</span>
      ) : (
        <button type="button" onClick={() => void attempt(() => ask({ type: "open-page", tab, url }))}>
          Open sealed texts
        </button>
      )}
      <label class="switch">
        <input type="checkbox" role="switch" checked={allowed} onChange={(event) => void attempt(() => always(event.currentTarget.checked))} />
        <span>Always</span>
      </label>
      <Failure text={failure} />
    </section>
  );
}
