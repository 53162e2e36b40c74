// The page: asks for a name, or takes it from the address, and opens its session.
import "./trusted.js"; // before anything else
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { normalizeName } from "./names.js";
import { Session } from "./session.js";
import { AlertList, alertOf } from "./view/alerts.js";
import { Shell } from "./view/shell.js";
import { Start, Waiting } from "./view/start.js";

const parameter = "name";

window.addEventListener("unhandledrejection", (event) => alertOf(event.reason));

/** The name goes into the address, so that a reload finds it. */
function nameInAddress(): string {
  return normalizeName(new URL(location.href).searchParams.get(parameter) ?? "");
}

function App() {
  const [session, setSession] = useState<Session>();
  const [resuming, setResuming] = useState(nameInAddress());

  const enter = async (name: string, secret?: string) => {
    const opened = await Session.open(name, alertOf, secret);
    const url = new URL(location.href);
    if (url.searchParams.get(parameter) !== name) {
      url.searchParams.set(parameter, name);
      url.hash = "";
      history.replaceState(null, "", url);
    }
    setSession(opened);
  };
  useEffect(() => {
    if (!resuming) return;
    enter(resuming).catch((error: unknown) => {
      alertOf(error);
      setResuming("");
    });
  }, []);

  return (
    <>
      {session ? <Shell session={session} /> : resuming ? <Waiting text={`Opening the chat as ${resuming}…`} /> : <Start enter={enter} />}
      <AlertList />
    </>
  );
}

render(<App />, document.getElementById("app")!);
