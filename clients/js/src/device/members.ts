// Who is in a conversation, and how far each has read. Members merge by their own rev, marks by
// maximum; both need no order of arrival.

import type { Member } from '../generated/wire.ts';

/** How far a member has come. */
export type Marks = { readSeq: number; deliveredSeq: number; markRev: number };

/** What is stored of them. */
export type StoredMembers = { members: Member[]; marks: [user: number, marks: Marks][]; complete: boolean };

type WireMarks = { read_seq?: number | null; delivered_seq?: number | null; mark_rev?: number | null };

export class Members {
  /** Changed since it was last stored. */
  dirty = false;
  /** The whole list was loaded once; events and `changes` keep it. */
  complete = false;
  /** Those that left included: an older listing must not bring them back. */
  #rows = new Map<number, Member>();
  #marks = new Map<number, Marks>();

  learn(member: Member): void {
    this.mark(member.user_id, member);
    const held = this.#rows.get(member.user_id);
    if (!held || held.rev <= member.rev) {
      this.#rows.set(member.user_id, member);
      this.dirty = true;
    }
  }

  /** Merges marks by maximum; what was read has been delivered. */
  mark(user: number, seen: WireMarks): void {
    const held = this.#marks.get(user) ?? { readSeq: 0, deliveredSeq: 0, markRev: 0 };
    const readSeq = Math.max(held.readSeq, seen.read_seq ?? 0);
    const deliveredSeq = Math.max(held.deliveredSeq, seen.delivered_seq ?? 0, readSeq);
    const markRev = Math.max(held.markRev, seen.mark_rev ?? 0);
    if (readSeq > held.readSeq || deliveredSeq > held.deliveredSeq || markRev > held.markRev) {
      this.#marks.set(user, { readSeq, deliveredSeq, markRev });
      this.dirty = true;
    }
  }

  readSeq(user: number): number {
    return this.#marks.get(user)?.readSeq ?? 0;
  }

  row(user: number): Member | undefined {
    return this.#rows.get(user);
  }

  /** Those that have not left, by rising user id. */
  present(): Member[] {
    const rows = [...this.#rows.values()].filter((row) => row.left_seq == null);
    return rows.sort((a, b) => a.user_id - b.user_id);
  }

  marks(): ReadonlyMap<number, Marks> {
    return new Map(this.#marks);
  }

  stored(): StoredMembers {
    return { members: [...this.#rows.values()], marks: [...this.#marks], complete: this.complete };
  }

  static restore(stored: StoredMembers): Members {
    const members = new Members();
    for (const row of stored.members) {
      members.#rows.set(row.user_id, row);
    }
    members.#marks = new Map(stored.marks);
    members.complete = stored.complete;
    return members;
  }
}
