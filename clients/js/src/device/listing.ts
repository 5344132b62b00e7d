// Following `/sync`: when it is due, where it stands, and what a listing from the start forgets.
// Only its answers move the cursor.

import type { Sync } from '../generated/wire.ts';
import type { Desk } from './desk.ts';

/** One listing over all its answers; stored, because a listing may go on after a reload. */
type Chain = { reset: boolean; named: string[] };

export type StoredListing = { cursor: string | undefined; userRev: number; chain: Chain | undefined };

/** What is to be done after an answer: go on, nothing, or forget all that is not named. */
export type Next = 'more' | 'done' | { only: Set<string> };

export class Listing {
  /** A trigger came that no request was computed after. */
  due = false;
  #cursor: string | undefined;
  #userRev = 0;
  #asked = false;
  #chain: Chain | undefined;

  get userRev(): number {
    return this.#userRev;
  }

  /** Asks if it is due; true when it does. What is heard of from then on may be younger than the answer. */
  react(desk: Desk, limit: number): boolean {
    if (!this.due || this.#asked) {
      return false;
    }
    this.due = false;
    this.#asked = true;
    desk.ask({ kind: 'sync', cursor: this.#cursor, limit });
    return true;
  }

  answer(answer: Sync): Next {
    this.#asked = false;
    this.#cursor = answer.cursor;
    this.#userRev = answer.user_rev;
    // A listing that starts anew, even in the middle, forgets what was named before.
    const chain = (!answer.reset && this.#chain) || { reset: answer.reset, named: [] };
    chain.named.push(...answer.conversations.map((entry) => entry.conversation.conversation_id));
    this.#chain = answer.more ? chain : undefined;
    this.due ||= answer.more;
    if (answer.more) {
      return 'more';
    }
    return chain.reset ? { only: new Set(chain.named) } : 'done';
  }

  /** There is no answer; it is due again, from the start when the position itself was refused. */
  failed(refused: boolean): void {
    this.#asked = false;
    if (!refused) {
      this.due = true;
    } else if (this.#cursor !== undefined) {
      this.#cursor = undefined;
      this.due = true;
      // What a listing from the start does not name is as gone as after a reset.
      this.#chain = { reset: true, named: [] };
    }
  }

  stored(): StoredListing {
    const chain = this.#chain && { reset: this.#chain.reset, named: [...this.#chain.named] };
    return { cursor: this.#cursor, userRev: this.#userRev, chain };
  }

  restore(stored: StoredListing): void {
    this.#cursor = stored.cursor;
    this.#userRev = stored.userRev;
    this.#chain = stored.chain;
  }
}
