// The ratchet tree (RFC 9420, Section 4.1), drawn: the members at the bottom, and above them
// the keys that they share.
import type { GroupSnapshot } from "webmls";
import { personOf } from "../names.js";

const [column, row, radius] = [46, 52, 9];

export function Tree({ group }: { group: GroupSnapshot }) {
  const { tree, members } = group;
  if (tree.length === 0) return null;
  const levels = Math.max(...tree.map(({ level }) => level));
  const leaves = (tree.length + 1) / 2;
  const width = leaves * column;
  const height = levels * row + 2 * radius + 34;
  const at = (index: number) => ({ x: (index / 2 + 0.5) * column, y: radius + 4 + (levels - tree[index]!.level) * row });
  const names = new Map(members.map((member) => [2 * member.leaf, member]));
  const shared = tree.filter(({ kind }) => kind === "parent").length;
  return (
    <div class="tree" tabIndex={0} role="region" aria-label="Ratchet tree">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width={Math.max(width, 160)}
        height={Math.max(height, (160 * height) / width)}
        role="img"
        aria-label={`The ratchet tree: ${members.length} members in ${leaves} leaves, ${shared} keys shared above them`}
      >
        {tree.flatMap(({ index, children = [] }) =>
          children.map((child) => {
            const [from, to] = [at(index), at(child)];
            return <path key={`${index}-${child}`} class="edge" d={`M${from.x} ${from.y}C${from.x} ${from.y + row / 2} ${to.x} ${to.y - row / 2} ${to.x} ${to.y}`} />;
          }),
        )}
        {tree.map(({ index, kind, known, key }) => {
          const { x, y } = at(index);
          const member = names.get(index);
          const hash = key && Array.from(key.subarray(0, 4), (b) => b.toString(16).padStart(2, "0")).join("");
          return (
            <g key={index} class={`node ${kind}${known ? " known" : ""}${member?.own ? " own" : ""}`}>
              <title>{`Node ${index}: ${member ? personOf(member) : kind === "blank" ? "blank" : "a shared key"}${hash ? `, key ${hash}…` : ""}${known ? ", whose private key is here" : ""}`}</title>
              <circle cx={x} cy={y} r={kind === "blank" ? 4 : radius} />
              {member && (
                <>
                  <text class="initial" x={x} y={y + 3.5}>
                    {(Array.from(personOf(member))[0] ?? "?").toUpperCase()}
                  </text>
                  <text class="leaf-name" x={x} y={y + radius + 14}>
                    {shortened(personOf(member))}
                  </text>
                </>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function shortened(name: string): string {
  const characters = Array.from(name);
  return characters.length > 7 ? `${characters.slice(0, 6).join("")}…` : name;
}
