/** The worker of x509.ts: a {@link Program}, and messages for it. */
import { errorValue, type ErrorValue } from "./errors.js";
import { Program, type Question, type Trust } from "./x509-program.js";

/** From the page. The first is a start. */
export type Request = { id: number } & (
  | { question: "start"; wasm: string | undefined; trust: Trust }
  | { question: Question; params: unknown[] }
);

/** To the page. */
export type Response = { id: number } & ({ value: unknown; error?: undefined } | { error: ErrorValue });

let program: Program;

addEventListener("message", async (event: MessageEvent<Request>) => {
  const request = event.data;
  let response: Response;
  try {
    response = { id: request.id, value: await answer(request) };
  } catch (error) {
    response = { id: request.id, error: errorValue(error) };
  }
  (postMessage as (message: Response) => void)(response);
});

async function answer(request: Request): Promise<unknown> {
  if (request.question !== "start") return program.ask(request.question, ...(request.params as never));
  program = await Program.start(request.wasm, request.trust);
  return undefined;
}
