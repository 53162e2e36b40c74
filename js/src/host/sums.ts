/**
 * Sums: the heads of scopes and the root of the database, which say that a
 * record or a scope is missing, or is an older one. seal.ts says why that holds.
 */
import type { Bytes, StoredScope } from "../bridge.js";
import { pack, unpack } from "./pack.js";
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
export function isSame(row: { revision: number; nonce: Bytes } | undefined, known: { revision: number; nonce: Bytes } | undefined): boolean {
  if (!row || !known) return !row && !known;
  return row.revision === known.revision && row.nonce instanceof Uint8Array && sealing.same(row.nonce, known.nonce);
}

/** A scope as the program knows it. */
export interface PlainScope extends StoredScope {
  scope: string;
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
  for (const { scope, revision, names, values } of scopes) {
    const sealed = await Promise.all(names.map((name, i) => sealRow(keys, ["record", scope, name], revision, values[i] as Bytes)));
    sealed.forEach(({ row }, i) => rows.push([[scope, names[i]!], row]));
    const head = await sealRow(keys, ["head", scope], revision, sumOf(sealed.map(({ known }) => known)));
    heads.push([scope, head.row]);
    known.set(scope, head.known);
  }
  const sum = sumOf([...known.values()]);
  return { rows, heads, known, sum, root: await sealRoot(keys, rootRevision, sum) };
}

/** A row, and what is known of it. */
export interface SealedRow {
  row: Sealed;
  known: KnownHead;
}

/** Seals what has a term in a sum. The bytes are copied before it returns. */
export async function sealRow(keys: DataKeys, place: sealing.Place, revision: number, plain: Bytes): Promise<SealedRow> {
  const row = await sealing.seal(keys, place, revision, plain);
  return { row, known: { revision, ...(await knownOf(keys, place, row)) } };
}

function sumOf(known: Known[]): Sum {
  return sealing.changedSum(sealing.emptySum(), known.map(({ term }) => term), []);
}

/** Seals a root. */
export async function sealRoot(keys: DataKeys, revision: number, sum: Sum): Promise<RootRow> {
  return { ...(await sealing.seal(keys, ["root"], revision, sum)), keys: keys.id };
}

/** Opens a root, which must not be older than one that was seen. Returns nothing when other keys sealed it. Code: STATE_TAMPERED. */
export async function openRoot(keys: DataKeys, row: RootRow | undefined, seen?: Root): Promise<Root | undefined> {
  if (!row) throw tampered(["root"], "removed");
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
  if (!sealing.same(sumOf([...heads.values()]), root.sum)) {
    throw tampered(["root"], "does not fit: a scope was removed, added or rolled back");
  }
  return heads;
}

/** What a head has sealed: 32 bytes for the sum of its scope, and the records that it holds. */
export function headOf(inline: Map<string, Bytes>): Bytes {
  return pack([...inline], 32);
}

/** Opens a scope: what is stored in it, which is the caller's, and what is to be known of it. Code: STATE_TAMPERED. */
export async function openScope(keys: DataKeys, scope: string, head: Sealed, names: string[], rows: Sealed[], known?: Map<string, Known>) {
  const [plain, terms, values] = await Promise.all([
    sealing.unseal(keys, ["head", scope], head),
    Promise.all(rows.map((row, i) => knownOf(keys, ["record", scope, names[i]!], row, known?.get(names[i]!)))),
    Promise.all(rows.map((row, i) => sealing.unseal(keys, ["record", scope, names[i]!], row))),
  ]);
  const sum = plain.slice(0, 32);
  if (!sealing.same(sumOf(terms), sum)) throw tampered(["head", scope], "does not fit: a record was removed, added or rolled back");
  // Until version 3 of the database there was nothing but the sum.
  const inline = new Map(plain.length > 32 ? (unpack(plain, 32) as [string, Bytes][]) : []);
  plain.fill(0);
  const stored: StoredScope = {
    revision: head.revision,
    names: [...names, ...inline.keys()],
    values: [...values, ...[...inline.values()].map((value) => value.slice())],
  };
  return { stored, sum, inline, records: new Map(names.map((name, i) => [name, terms[i]!])) };
}

/** The term of a row, computed unless it is known. Code: STATE_TAMPERED. */
async function knownOf(keys: DataKeys, place: sealing.Place, row: Sealed, known?: Known): Promise<Known> {
  sealing.check(place, row);
  if (known && sealing.same(known.nonce, row.nonce)) return { nonce: known.nonce, term: known.term };
  return { nonce: row.nonce, term: await sealing.term(keys, place, row) };
}
