// Components that follow what is not theirs.
import { useEffect, useReducer } from "preact/hooks";
import type { Changes } from "../changes.js";

/** How long changes are gathered before they are shown, in ms. */
const gathering = 16;

/** Renders a component again after changes of a model. */
export function useChanges(...models: readonly (Changes | undefined)[]): void {
  const [, render] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        render(undefined as never);
      }, gathering);
    };
    later(); // something may have changed since it was rendered
    const ends = models.map((model) => model?.onChange(later));
    return () => {
      clearTimeout(timer);
      for (const end of ends) end?.();
    };
  }, models);
}
