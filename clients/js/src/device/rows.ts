// Messages as they are kept, whatever fields a later server adds to them.

import { type Changes, LIMITS, type Message, type MessagePage, type ServerFrames } from '../generated/wire.ts';
import type { Anchor } from './desk.ts';

/** A message as it is held and shown. Never changed in place. */
export type Row = Readonly<Message>;

/** A page of messages: complete from `lo` to `hi` at its rev. */
export type Page = {
  rev: number;
  lo: number;
  /** `lo - 1` when it is empty. */
  hi: number;
  rows: Map<number, Row>;
  /** It ends at the newest message. */
  tail: boolean;
  firstSeq: number;
  /** The user jumped here: look at it once it is shown. */
  focus: boolean;
};

/** As rows are kept: what only events carry is left out. */
export function stored(message: Message): Row {
  const { history: _, mark_rev: __, ...row } = message;
  return row;
}

/** A deleted message keeps its place and who sent it; nothing else, also of fields of a later server. */
export function tombstone(row: Row, deleted: ServerFrames['message_deleted'] | Deletion): Row {
  const { message_id, conversation_id, seq, sender_id, type, timestamp, client_id } = row;
  const { rev, deleted_at, deleted_by } = deleted;
  return {
    message_id,
    conversation_id,
    seq,
    rev,
    content_rev: rev,
    sender_id,
    type,
    timestamp,
    ...(client_id == null ? {} : { client_id }),
    deleted_at,
    deleted_by,
  };
}

/** What an event or an answer says of a deletion. */
export type Deletion = { seq: number; rev: number; deleted_at: number; deleted_by: number };

/** The rows that replies to `seq` stand in, with its newest words. `undefined`: nothing changes. */
export function requoted(row: Row, seq: number, words: string): Row | undefined {
  const { reply_to } = row;
  if (reply_to?.seq !== seq || reply_to.excerpt === words) {
    return undefined;
  }
  return { ...row, reply_to: { ...reply_to, excerpt: words } };
}

/** What a reply quotes of a message: its beginning, cut at a character. */
export function excerpt(message: Row): string {
  const text = message.content ?? '';
  if (text.length <= LIMITS.excerpt_units) {
    return text;
  }
  const last = text.charCodeAt(LIMITS.excerpt_units - 1);
  const splits = last >= 0xd800 && last < 0xdc00;
  return text.slice(0, splits ? LIMITS.excerpt_units - 1 : LIMITS.excerpt_units);
}

/** Reads an answer; `asked` says where an empty page stands. */
export function readPage(answer: MessagePage, asked: Anchor): Page {
  let lo = answer.head_seq + 1;
  if ('before' in asked) {
    lo = asked.before;
  } else if ('after' in asked) {
    lo = asked.after + 1;
  }
  let hi = lo - 1;
  let whole = true;
  const rows = new Map<number, Row>();
  for (const message of answer.messages) {
    if (rows.size === 0) {
      lo = message.seq;
    } else if (message.seq !== hi + 1) {
      whole = false;
      break;
    }
    hi = message.seq;
    rows.set(hi, stored(message));
  }
  const tail = whole && !answer.has_more_after;
  return { rev: answer.rev, lo, hi, rows, tail, firstSeq: answer.first_seq, focus: 'around' in asked };
}

/** Brings a page that waits nearer to the present. */
export function catchUp(page: Page, answer: Changes): void {
  for (const message of answer.messages) {
    const { seq } = message;
    for (const [at, row] of page.rows) {
      const anew = message.withheld ? undefined : requoted(row, seq, excerpt(message));
      if (anew) {
        page.rows.set(at, anew);
      }
    }
    if (seq >= page.lo && seq <= page.hi) {
      if ((page.rows.get(seq)?.rev ?? 0) < message.rev) {
        page.rows.set(seq, stored(message));
      }
    } else if (page.tail && seq === page.hi + 1) {
      page.rows.set(seq, stored(message));
      page.hi = seq;
    } else if (page.tail && seq > page.hi) {
      // A gap: the page no longer ends at the newest message.
      page.tail = false;
    }
  }
  page.rev = Math.max(page.rev, answer.rev);
}
