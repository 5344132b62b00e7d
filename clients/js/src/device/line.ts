// One's line of the chat list: what it shows besides the conversation itself. Events, the list and
// `inbox_updated` bring it forward in any order.

import type { Entry, Inbox, Member, Membership, ServerFrames } from '../generated/wire.ts';
import { type Deletion, type Row, tombstone } from './rows.ts';

export type StoredLine = {
  membership: Membership;
  inbox: Inbox;
  lastMessage: Row | undefined;
  unread: number;
  /** The rev that `unread` counts up to. */
  unreadRev: number;
  /** Where one's own view stood when `inbox` was read. */
  userRev: number;
  /** What else the list says of it, as it came. */
  more: Record<string, unknown>;
};

export class Line {
  readonly state: StoredLine;

  constructor(state: StoredLine) {
    this.state = state;
  }

  /** An entry of the list, read when one's own view was at `userRev`. */
  static entry(old: Line | undefined, entry: Entry, last: Row | undefined, userRev: number): Line {
    const { conversation, membership, inbox, unread, last_message: _, ...more } = entry;
    // An event may have carried one past the entry already.
    const counted = old && old.state.unreadRev > conversation.rev ? old.state : undefined;
    return new Line({
      membership,
      inbox,
      lastMessage: newest(old?.state.lastMessage, last),
      unread: counted?.unread ?? unread,
      unreadRev: counted?.unreadRev ?? conversation.rev,
      userRev,
      more,
    });
  }

  /** Another history: what it showed is no more. */
  dropHistory(): void {
    this.state.lastMessage = undefined;
    this.state.unreadRev = 0;
  }

  inboxUpdated(frame: ServerFrames['inbox_updated']): void {
    const { state } = this;
    if (frame.inbox && frame.user_rev >= state.userRev) {
      state.inbox = frame.inbox;
      state.userRev = frame.user_rev;
    }
    if (frame.rev >= state.unreadRev) {
      state.unread = frame.unread;
      state.unreadRev = frame.rev;
    }
  }

  /** A state of a message was learnt. */
  learn(row: Row): void {
    this.state.lastMessage = newest(this.state.lastMessage, row);
  }

  /** A new message came as an event or an own answer: it counts. */
  count(row: Row, me: number): void {
    const { state } = this;
    if (row.type !== 'system' && row.rev > state.unreadRev) {
      state.unreadRev = row.rev;
      state.unread = row.sender_id === me ? 0 : state.unread + 1;
    }
  }

  /** A message was deleted. */
  deleted(deletion: Deletion): void {
    const last = this.state.lastMessage;
    if (last?.seq === deletion.seq && last.rev < deletion.rev) {
      this.state.lastMessage = tombstone(last, deletion);
    }
  }

  /** Messages below a seq were removed. */
  retain(from: number): void {
    if ((this.state.lastMessage?.seq ?? from) < from) {
      this.state.lastMessage = undefined;
    }
  }

  /** One's own read mark moved; `newest` is the seq of the newest message heard of. */
  readUpTo(seq: number, newestSeq: number): void {
    const { membership } = this.state;
    this.state.membership = {
      ...membership,
      read_seq: Math.max(membership.read_seq, seq),
      delivered_seq: Math.max(membership.delivered_seq, seq),
    };
    if (seq >= newestSeq) {
      this.state.unread = 0;
    }
  }

  /** One's own row among the members changed. */
  ownMember(row: Member): void {
    const { role, joined_seq, left_seq } = row;
    const { left_seq: _, ...rest } = this.state.membership;
    this.state.membership = { ...rest, role, joined_seq, ...(left_seq == null ? {} : { left_seq }) };
    if (left_seq != null) {
      this.state.unread = 0;
    }
  }
}

/** The later message of two, the newer state of one. */
function newest(a: Row | undefined, b: Row | undefined): Row | undefined {
  if (!a || !b) {
    return a ?? b;
  }
  return a.seq > b.seq || (a.seq === b.seq && a.rev > b.rev) ? a : b;
}
