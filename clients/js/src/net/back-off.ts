// How long to wait before something is tried again: full jitter, so that clients that failed together
// do not come back together, and never sooner than the server asked.

const FIRST_MS = 250;
const MOST_MS = 30_000;
/** Doublings after which the bound is at its maximum anyway. */
const DOUBLINGS_MAX = 10;

/** `failures` counts those in a row before this one; `random` gives 0 up to 1. */
export function backOff(failures: number, askedMs: number | undefined, random: () => number): number {
  const own = random() * Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, DOUBLINGS_MAX));
  return askedMs === undefined ? own : Math.max(own, askedMs * (1 + random() / 2));
}
