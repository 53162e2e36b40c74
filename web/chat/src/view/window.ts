// Which rows of a long list are in the page: those in front of somebody's eyes, and
// some around them. Heights of the others are what they were when they were last
// there, or what the first rows that were measured are on average.

/** What rows are taken to be before any was measured, in px. */
const firstGuess = 56;
/** After so many rows the guess stays as it is: with every other guess, thousands of rows would move. */
const enough = 16;

export class RowHeights {
  readonly #heights = new Map<number, number>();
  #sum = 0;
  #guess = firstGuess;
  /** Where each row begins; made anew when something has changed. */
  #tops = new Float64Array(1);
  #stale = true;

  /** Keeps the height of a row, by what names it. Returns whether it is another one. */
  set(name: number, height: number): boolean {
    const old = this.#heights.get(name);
    if (old === height) return false;
    this.#heights.set(name, height);
    if (old === undefined && this.#heights.size <= enough) {
      this.#sum += height;
      this.#guess = this.#sum / this.#heights.size;
    }
    this.#stale = true;
    return true;
  }

  /** Where each of so many rows begins, and the last one ends. */
  tops(count: number, nameOf: (index: number) => number): Float64Array {
    if (!this.#stale && this.#tops.length === count + 1) return this.#tops;
    const tops = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) tops[i + 1] = tops[i]! + (this.#heights.get(nameOf(i)) ?? this.#guess);
    this.#stale = false;
    return (this.#tops = tops);
  }
}

/** The last row that begins at or above a place. */
export function rowAt(tops: Float64Array, place: number): number {
  let [low, high] = [0, Math.max(0, tops.length - 2)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle]! <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}
