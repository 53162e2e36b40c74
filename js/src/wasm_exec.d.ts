/** What Go's wasm_exec.js, which is copied from GOROOT when the package is built, leaves on `globalThis`. */
declare class Go {
  importObject: WebAssembly.Imports;
  /** Is fulfilled when the program has ended. */
  run(instance: WebAssembly.Instance): Promise<void>;
  exit: (code: number) => void;
}
