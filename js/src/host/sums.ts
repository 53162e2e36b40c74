/**
 * Sums: the heads of scopes and the root of the database, which say that a
 * record or a scope is missing, or is an older one. seal.ts says why that holds.
 */
import type { Bytes } from "../bridge.js";
import * as sealing from "./seal.js";
import { tampered, type DataKeys, type Sealed, type Sum } from "./seal.js";

/** The root as it is stored, under "root" in `meta`. `keys` says which keys sealed it, and with it everything. */
export interface RootRow extends Sealed {
  keys: Bytes;
}

/** The root in memory. */
export interface Root {
  row: RootRow;
  sum: Sum;
}

/** A sealed value as the sums know it. */
export interface Known {
  nonce: Bytes;
  term: Bytes;
}

/** A head as the root's sum knows it. */
export interface KnownHead extends Known {
  revision: number;
}

/** Whether a row is the one that is known, or both are missing. */
export function isSame(row: Sealed | undefined, known: { revision: number; nonce: Bytes } | undefined): boolean {
  if (!row || !known) return !row && !known;
  return row.revision === known.revision && row.nonce instanceof Uint8Array && sealing.same(row.nonce, known.nonce);
}

/** A scope as the program knows it. */
export interface PlainScope {
  scope: string;
  revision: number;
  records: { name: string; value: Bytes }[];
}

/** A whole database, sealed. */
export interface SealedAll {
  rows: [key: [string, string], row: Sealed][];
  heads: [scope: string, row: Sealed][];
  known: Map<string, KnownHead>;
  sum: Sum;
  root: RootRow;
}

/** Seals all scopes, every record at the revision of its scope. */
export async function sealAll(keys: DataKeys, scopes: PlainScope[], rootRevision: number): Promise<SealedAll> {
  const rows: SealedAll["rows"] = [];
  const heads: SealedAll["heads"] = [];
  const known = new Map<string, KnownHead>();
  for (const { scope, revision, records } of scopes) {
    const sealed = await Promise.all(records.map(({ name, value }) => sealing.seal(keys, ["record", scope, name], revision, value)));
    const terms = await Promise.all(sealed.map((row, i) => sealing.term(keys, ["record", scope, records[i]!.name], row)));
    const head = await sealing.seal(keys, ["head", scope], revision, sealing.changedSum(sealing.emptySum(), terms, []));
    sealed.forEach((row, i) => rows.push([[scope, records[i]!.name], row]));
    heads.push([scope, head]);
    known.set(scope, { revision, nonce: head.nonce, term: await sealing.term(keys, ["head", scope], head) });
  }
  const sum = sealing.changedSum(sealing.emptySum(), [...known.values()].map(({ term }) => term), []);
  return { rows, heads, known, sum, root: await sealRoot(keys, rootRevision, sum) };
}

/** Seals a root. */
export async function sealRoot(keys: DataKeys, revision: number, sum: Sum): Promise<RootRow> {
  return { ...(await sealing.seal(keys, ["root"], revision, sum)), keys: keys.id };
}

/** Opens a root, which must not be older than one that was seen. Returns nothing when other keys sealed it. Code: STATE_TAMPERED. */
export async function openRoot(keys: DataKeys, row: RootRow, seen: Root | undefined): Promise<Root | undefined> {
  sealing.check(["root"], row);
  if (!(row.keys instanceof Uint8Array) || !sealing.same(row.keys, keys.id)) return undefined;
  const sum = await sealing.unseal(keys, ["root"], row);
  if (seen && seen.row.revision >= row.revision && !isSame(row, seen.row)) throw tampered(["root"], "rolled back");
  return { row, sum };
}

/** Checks that heads are those of a root. Code: STATE_TAMPERED. */
export async function checkHeads(keys: DataKeys, root: Root, scopes: string[], rows: Sealed[], known: Map<string, KnownHead>): Promise<Map<string, KnownHead>> {
  const heads = new Map<string, KnownHead>();
  await Promise.all(
    scopes.map(async (scope, i) => {
      const row = rows[i]!;
      sealing.check(["head", scope], row);
      const before = known.get(scope);
      const same = before?.revision === row.revision ? before : undefined;
      heads.set(scope, { revision: row.revision, ...(await knownOf(keys, ["head", scope], row, same)) });
    }),
  );
  const terms = [...heads.values()].map(({ term }) => term);
  if (!sealing.same(sealing.changedSum(sealing.emptySum(), terms, []), root.sum)) {
    throw tampered(["root"], "does not fit: a scope was removed, added or rolled back");
  }
  return heads;
}

/** Opens a scope. Code: STATE_TAMPERED. */
export async function openScope(keys: DataKeys, scope: string, head: Sealed, rows: { name: string; row: Sealed }[], known: Map<string, Known> | undefined) {
  const [sum, terms, values] = await Promise.all([
    sealing.unseal(keys, ["head", scope], head),
    Promise.all(rows.map(({ name, row }) => knownOf(keys, ["record", scope, name], row, known?.get(name)))),
    Promise.all(rows.map(({ name, row }) => sealing.unseal(keys, ["record", scope, name], row))),
  ]);
  const found = sealing.changedSum(sealing.emptySum(), terms.map(({ term }) => term), []);
  if (!sealing.same(found, sum)) throw tampered(["head", scope], "does not fit: a record was removed, added or rolled back");
  return { sum, values, records: new Map(rows.map(({ name }, i) => [name, terms[i]!])) };
}

/** The term of a row, computed unless it is known. Code: STATE_TAMPERED. */
async function knownOf(keys: DataKeys, place: sealing.Place, row: Sealed, known: Known | undefined): Promise<Known> {
  sealing.check(place, row);
  if (known && sealing.same(known.nonce, row.nonce)) return { nonce: known.nonce, term: known.term };
  return { nonce: row.nonce, term: await sealing.term(keys, place, row) };
}
