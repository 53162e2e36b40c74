// Line icons on a grid of 24, and pictures of people.

const paths = {
  back: "M15 5l-7 7 7 7",
  check: "M5 12.5l4.5 4.5L19 7",
  clip: "M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.5-8.5a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.8-7.8",
  clock: "M12 7v5l3 2M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17",
  close: "M6 6l12 12M18 6L6 18",
  devices: "M4 5h12v9H4zM2.5 17.5H12M16 10h5v10h-5zM18.5 17.5v.01",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  key: "M11.9 10.500a4.500 4.500 0 1 0 0 3H14v2.500h3v-2.500h1.500v2.500H21v-5.500zM7.500 12v.01",
  leave: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z",
  pencil: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  people: "M9 11a3.5 3.5 0 1 0 0-7a3.5 3.5 0 1 0 0 7M2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.6a3.5 3.5 0 0 1 0 6M18 14.6c2.100 .8 3.500 2.700 3.500 5.400",
  plus: "M12 5v14M5 12h14",
  send: "M4.500 12h9M4 4.500l17 7.500-17 7.500 2.500-7.500z",
  shield: "M12 3l7.500 2.800v5.700c0 4.600-3.100 7.800-7.500 9.500-4.400-1.700-7.500-4.900-7.500-9.500V5.800zM8.500 12l2.500 2.500 4.500-5",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13",
  warning: "M12 4L2.500 20h19zM12 10v4.500M12 17.500v.01",
} as const;

export type IconName = keyof typeof paths;

/** Says nothing to a screen reader. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** A round picture of a name: its first letter, on a colour that goes with the name. */
export function Avatar({ name, group = false }: { name: string; group?: boolean }) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)!) % 997;
  // The letter is drawn by the style sheet: it is no text of whatever the picture stands in.
  return <span class={`avatar hue-${sum % 8}${group ? " group" : ""}`} data-letter={(Array.from(name.trim())[0] ?? "?").toUpperCase()} aria-hidden="true" />;
}
