// The messages of one conversation that a device holds: intervals known complete, one's own rev, and
// a page that waits until it has caught up.
//
// Safety: inside an interval there is no gap, and no row is older than at the own rev. The own rev
// never goes back. Rows outside the intervals are only those above a gap at the tail; they are not
// shown.

import type { Changes, Message } from '../generated/wire.ts';
import { catchUp, type Deletion, excerpt, type Page, type Row, requoted, stored, tombstone } from './rows.ts';

export type { Row } from './rows.ts';

/** `hi` is included; `lo - 1` when it is empty. */
export type Interval = { lo: number; hi: number };

/** What an event did to the shared state. */
export type Change =
  | { kind: 'row'; row: Row }
  | { kind: 'deleted'; deleted: Deletion }
  /** A member, or the conversation itself: no message changed. */
  | { kind: 'other' }
  /** Something this version does not know: it must be asked for. */
  | { kind: 'unknown' };

/** A window without its rows; stored, and kept in memory while the rows are not. */
export type WindowMeta = {
  intervals: Interval[];
  tail: boolean;
  rev: number;
  markRev: number;
  midway: boolean;
  firstSeq: number;
  shownFrom: number | undefined;
};

export class Window {
  /** Disjoint, not adjacent, rising; never none. */
  intervals: Interval[];
  /** Whether the last interval ends at the newest message. */
  tail: boolean;
  /** The own rev: what is held is at least the state of this change. */
  rev: number;
  /** All marks up to this one are known. */
  markRev: number;
  /** Inside a `changes` of several answers: what is held is the state of no rev. */
  midway: boolean;
  /** A page older than the own rev, which is not shown yet. */
  held: Page | undefined;
  /** First seq that may be read at all. */
  firstSeq: number;
  /** Nothing is shown before this rev is reached: the first page was older than what was heard. */
  shownFrom: number | undefined;
  /** A seq of the interval that is looked at; none: the last one. */
  focus: number | undefined;
  /** Rows to be stored or removed from storage. */
  readonly dirty = new Set<number>();
  /** What storage has of an earlier window is to be removed first. */
  fresh = false;
  #rows = new Map<number, Row>();
  /** Which rows quote a seq. May name rows that no longer do. */
  #replies = new Map<number, Set<number>>();

  private constructor(meta: WindowMeta) {
    this.intervals = meta.intervals.map(({ lo, hi }) => ({ lo, hi }));
    this.tail = meta.tail;
    this.rev = meta.rev;
    this.markRev = meta.markRev;
    this.midway = meta.midway;
    this.firstSeq = meta.firstSeq;
    this.shownFrom = meta.shownFrom;
  }

  /** Begins with a first page. `heard` is the highest rev heard of before. */
  static begin(page: Page, heard: number): Window {
    const window = new Window({
      intervals: [{ lo: page.lo, hi: page.hi }],
      tail: page.tail,
      rev: page.rev,
      markRev: 0,
      midway: false,
      firstSeq: page.firstSeq,
      shownFrom: heard > page.rev ? heard : undefined,
    });
    window.fresh = true;
    for (const row of page.rows.values()) {
      window.#insert(row);
    }
    if (page.focus && !page.tail) {
      window.focus = page.lo;
    }
    return window;
  }

  /** Goes on where it was stored; undefined when the rows do not fill the intervals. */
  static restore(meta: WindowMeta, rows: readonly Row[]): Window | undefined {
    const window = new Window(meta);
    for (const row of rows) {
      window.#insert(row);
    }
    window.dirty.clear();
    for (const { lo, hi } of window.intervals) {
      for (let seq = lo; seq <= hi; seq += 1) {
        if (!window.#rows.has(seq)) {
          return undefined;
        }
      }
    }
    return window;
  }

  meta(): WindowMeta {
    const { tail, rev, markRev, midway, firstSeq, shownFrom } = this;
    const intervals = this.intervals.map(({ lo, hi }) => ({ lo, hi }));
    return { intervals, tail, rev, markRev, midway, firstSeq, shownFrom };
  }

  /** All of it is to be stored. */
  rewrite(): void {
    this.fresh = true;
    for (const seq of this.#rows.keys()) {
      this.dirty.add(seq);
    }
  }

  row(seq: number): Row | undefined {
    return this.#rows.get(seq);
  }

  /** How many rows are held. */
  get size(): number {
    return this.#rows.size;
  }

  get last(): Interval {
    return this.intervals[this.intervals.length - 1] as Interval;
  }

  /** The interval that is looked at. */
  get view(): Interval {
    const { focus } = this;
    return (focus !== undefined && this.find(focus)) || this.last;
  }

  /** The interval that a seq lies in. */
  find(seq: number): Interval | undefined {
    return this.intervals.find(({ lo, hi }) => seq >= lo && seq <= hi);
  }

  /** The rows to show, by rising seq. */
  shown(): Row[] {
    const rows: Row[] = [];
    if (this.shownFrom === undefined) {
      const { lo, hi } = this.view;
      for (let seq = Math.max(lo, this.firstSeq); seq <= hi; seq += 1) {
        rows.push(this.#rows.get(seq) as Row);
      }
    }
    return rows;
  }

  /** Takes a later page: shown at once, or held back until it is as new as the own rev. */
  page(page: Page): void {
    if (page.rev < this.rev) {
      this.held = page;
    } else {
      this.#show(page);
    }
  }

  /** Takes the event of `rev`; false when it must be asked for instead. */
  event(rev: number, change: Change): boolean {
    const applied = rev === this.rev + 1 && this.#apply(change);
    if (applied) {
      this.#reach(rev);
    }
    return applied;
  }

  /** Takes the answer of `changes` since `since`. */
  changes(since: number, answer: Changes): void {
    if (this.held && since <= this.held.rev) {
      catchUp(this.held, answer);
    }
    for (const message of answer.messages) {
      this.#learn(stored(message));
    }
    if (answer.rev > this.rev && since <= this.rev) {
      this.#reach(answer.rev);
    }
    this.markRev = Math.max(this.markRev, answer.mark_rev);
    this.midway = answer.more;
    if (this.held && this.held.rev >= this.rev) {
      const page = this.held;
      this.held = undefined;
      this.#show(page);
    }
  }

  /** From where the next `changes` is asked. */
  get since(): number {
    return this.held?.rev ?? this.rev;
  }

  /** Lets all but the newest `keep` rows go; intervals stay whole ones. */
  trim(keep: number): void {
    if (this.#rows.size <= keep || this.held) {
      return;
    }
    let left = keep;
    const kept: Interval[] = [];
    for (const { lo, hi } of [...this.intervals].reverse()) {
      const from = Math.max(lo, hi + 1 - left);
      if (from > hi && kept.length > 0) {
        break;
      }
      // With nothing to keep, an empty interval stays: where the newest message stands.
      kept.unshift({ lo: from, hi });
      left -= hi + 1 - from;
    }
    this.intervals = kept;
    const end = this.last.hi;
    for (const [seq, row] of this.#rows) {
      if (!this.find(seq) && !(this.tail && seq > end)) {
        this.#rows.delete(seq);
        this.#replies.get(row.reply_to?.seq ?? 0)?.delete(seq);
        this.dirty.add(seq);
      }
    }
  }

  #reach(rev: number): void {
    this.rev = rev;
    if (this.shownFrom !== undefined && this.shownFrom <= rev) {
      this.shownFrom = undefined;
    }
  }

  #apply(change: Change): boolean {
    if (change.kind === 'row') {
      this.#learn(change.row);
    } else if (change.kind === 'deleted') {
      const { deleted } = change;
      const held = this.#rows.get(deleted.seq);
      if (!held) {
        this.#requote(deleted.seq, '');
        // Beyond a gap the row itself is needed; outside the intervals it is not.
        return deleted.seq <= this.last.hi || !this.tail;
      }
      this.#learn(tombstone(held, deleted));
    }
    return change.kind !== 'unknown';
  }

  /** Merges a page that is not older than the own rev. */
  #show(page: Page): void {
    const { last } = this;
    if (page.hi < page.lo) {
      this.tail ||= page.tail && page.lo === last.hi + 1;
      if (page.lo === this.intervals[0]?.lo || last.hi < last.lo) {
        this.firstSeq = page.firstSeq;
      }
      return;
    }
    if (page.hi >= last.hi) {
      // A page above a gap is not where the own tail ends.
      this.tail = page.tail || (this.tail && page.lo <= last.hi + 1);
    }
    for (const [seq, row] of page.rows) {
      const held = this.#rows.get(seq);
      if (!held || held.rev < row.rev) {
        this.#learnt(row);
        this.#insert(row);
      }
    }
    this.#cover({ lo: page.lo, hi: page.hi });
    this.firstSeq = page.firstSeq;
    if (page.focus) {
      this.focus = page.lo;
    }
  }

  /** Takes a state of a message, unless a newer one is held. */
  #learn(row: Row): void {
    const { seq } = row;
    const held = this.#rows.get(seq);
    if (held && held.rev >= row.rev) {
      return;
    }
    this.#learnt(row);
    const next = this.intervals.find(({ hi }) => seq === hi + 1);
    if (!held && !next && !(this.tail && seq > this.last.hi)) {
      return;
    }
    this.#insert(row);
    if (next) {
      this.#cover({ lo: seq, hi: seq });
    }
  }

  /** One more interval is complete; those that touch become one. */
  #cover(more: Interval): void {
    const all = [...this.intervals.filter(({ lo, hi }) => hi >= lo), more].sort((a, b) => a.lo - b.lo);
    const joined: Interval[] = [];
    for (const { lo, hi } of all) {
      const before = joined[joined.length - 1];
      if (before && lo <= before.hi + 1) {
        before.hi = Math.max(before.hi, hi);
      } else {
        joined.push({ lo, hi });
      }
    }
    const last = joined[joined.length - 1] as Interval;
    while (this.tail && this.#rows.has(last.hi + 1)) {
      last.hi += 1;
    }
    this.intervals = joined;
  }

  #insert(row: Row): void {
    const quoted = row.reply_to?.seq;
    let kept = row;
    if (quoted !== undefined) {
      const replies = this.#replies.get(quoted) ?? new Set();
      this.#replies.set(quoted, replies.add(row.seq));
      const held = this.#rows.get(quoted);
      kept = (held && !held.withheld && requoted(row, quoted, excerpt(held))) || row;
    }
    this.#rows.set(row.seq, kept);
    this.dirty.add(row.seq);
  }

  #learnt(message: Row | Message): void {
    if (!message.withheld) {
      this.#requote(message.seq, excerpt(message));
    }
  }

  /** What replies show of a message follows its newest known state. */
  #requote(quoted: number, words: string): void {
    for (const seq of this.#replies.get(quoted) ?? []) {
      const row = this.#rows.get(seq);
      const anew = row && requoted(row, quoted, words);
      if (anew) {
        this.#rows.set(seq, anew);
        this.dirty.add(seq);
      }
    }
  }
}
