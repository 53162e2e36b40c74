/** What Go's wasm_exec.js leaves on `globalThis`. */
interface Go {
  importObject: WebAssembly.Imports;
  /** Is fulfilled when the program has ended. */
  run(instance: WebAssembly.Instance): Promise<void>;
  /** Is called at once when the program exits. */
  exit: (code: number) => void;
  /** Whether the program must not be entered any more. */
  exited: boolean;
  /** The timers that will enter the program. */
  readonly _scheduledTimeouts: Map<number, ReturnType<typeof setTimeout>>;
}
declare var Go: new () => Go;
