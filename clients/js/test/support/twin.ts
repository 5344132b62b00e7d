// A small server of one user, without sockets, clock or waits: what docs/protocol.md says of revs,
// histories, events, pages, `changes` and `/sync`, and a record of everything that ever was true.

import type { Changes, ClientFrames, Entry, Message, MessagePage, Sync } from '../../src/index.ts';

export const ME = 1;
export const OTHER = 2;

type Frame = { type: string; id?: number; data: Record<string, unknown> };

/** One line of numbers: which rev each message had, at each rev. */
type Line = { at: number[][] };

class Conversation {
  readonly id: string;
  history: number;
  rev = 0;
  rows: Message[] = [];
  /** Newest change of the user's own view that touched it. */
  userRev = 0;
  readonly lines: Map<number, Line>;

  constructor(id: string, history: number) {
    this.id = id;
    this.history = history;
    this.lines = new Map([[history, { at: [[]] }]]);
  }

  /** Remembers what is true at the present rev. */
  note(): void {
    const line = this.lines.get(this.history);
    if (line) {
      line.at[this.rev] = this.rows.map(({ rev }) => rev);
    }
  }
}

export class Twin {
  readonly conversations = new Map<string, Conversation>();
  /** Conversations of which something was lost: restored to an older state, or gone. */
  readonly torn = new Set<string>();
  userRev = 0;
  /** Which line `userRev` belongs to. */
  userHistory = 1;
  /** Frames to the device, in order; without a connection they go nowhere. */
  down: Frame[] | undefined;
  /** Frames of the device, in order. */
  up: Frame[] = [];
  #ids = 1;
  /** No two lines have the same name, not even of a conversation that was gone. */
  #histories = 1;

  connect(): void {
    const data = { max_in_flight: 8, user_rev: this.userRev, heartbeat_s: 30 };
    this.down = [{ type: 'hello', data }];
    this.up = [];
  }

  /** Frames of either side that are on their way are gone. */
  cut(): void {
    this.down = undefined;
    this.up = [];
  }

  conversation(id: string): Conversation {
    let held = this.conversations.get(id);
    if (!held) {
      held = new Conversation(id, this.#histories++);
      this.conversations.set(id, held);
    }
    return held;
  }

  say(id: string, sender: number, content: string, clientId?: string, reference?: number): void {
    const held = this.conversation(id);
    const before = clientId === undefined ? undefined : held.rows.find((row) => row.client_id === clientId);
    let message = before;
    if (!message) {
      held.rev += 1;
      const seq = held.rows.length + 1;
      const base = { message_id: String(this.#ids++), conversation_id: id, type: 'text' as const, timestamp: seq };
      const own = clientId === undefined ? {} : { client_id: clientId };
      message = { ...base, seq, rev: held.rev, content_rev: held.rev, sender_id: sender, content, ...own };
      held.rows.push(message);
      held.note();
    }
    const shown = { ...message, history: String(held.history) };
    if (reference === undefined) {
      this.#tell({ type: 'new_message', data: shown });
    } else {
      const { seq, rev, history } = shown;
      this.#tell({
        type: 'message_sent',
        id: reference,
        data: { conversation_id: id, seq, rev, history, message: shown },
      });
    }
    if (!before) {
      this.#touched(held);
    }
  }

  edit(id: string, seq: number, content: string, reference?: number): void {
    const held = this.conversations.get(id);
    const row = held?.rows[seq - 1];
    if (!held || !row || row.deleted_at != null) {
      this.#refuse(reference, 'conflict');
      return;
    }
    held.rev += 1;
    const message = { ...row, rev: held.rev, content_rev: held.rev, content, edited_at: 1 };
    held.rows[seq - 1] = message;
    held.note();
    const shown = { ...message, history: String(held.history) };
    this.#tell(
      reference === undefined
        ? { type: 'message_updated', data: shown }
        : { type: 'ok', id: reference, data: { message: shown } },
    );
    this.#touched(held);
  }

  remove(id: string, seq: number, reference?: number): void {
    const held = this.conversations.get(id);
    const row = held?.rows[seq - 1];
    if (!held || !row) {
      this.#refuse(reference, 'not_found');
      return;
    }
    const history = String(held.history);
    const again = row.deleted_at != null;
    if (!again) {
      held.rev += 1;
      const { message_id, conversation_id, type, timestamp, sender_id, client_id } = row;
      const rest = {
        message_id,
        conversation_id,
        seq,
        type,
        timestamp,
        sender_id,
        ...(client_id == null ? {} : { client_id }),
      };
      held.rows[seq - 1] = { ...rest, rev: held.rev, content_rev: held.rev, deleted_at: 1, deleted_by: row.sender_id };
      held.note();
    }
    const { rev, deleted_at, deleted_by } = held.rows[seq - 1] as Message;
    const data = { conversation_id: id, seq, message_id: row.message_id, rev, history, deleted_at, deleted_by };
    if (reference !== undefined) {
      this.#tell({ type: 'ok', id: reference, data });
    } else if (!again) {
      this.#tell({ type: 'message_deleted', data });
    }
    if (!again) {
      this.#touched(held);
    }
  }

  /** Something that this version of the client has never heard of. */
  novelty(id: string, seq: number): void {
    const held = this.conversations.get(id);
    const row = held?.rows[seq - 1];
    if (held && row && row.deleted_at == null) {
      held.rev += 1;
      held.rows[seq - 1] = { ...row, rev: held.rev, pinned_at: held.rev } as Message;
      held.note();
      const data = { conversation_id: id, history: String(held.history), rev: held.rev, seq };
      this.#tell({ type: 'message_starred', data });
      this.#touched(held);
    }
  }

  /** An older state comes back, as another history: live, or with everybody's connection cut. */
  restore(id: string, back: number, live: boolean): void {
    const held = this.conversations.get(id);
    if (!held) {
      return;
    }
    this.torn.add(id);
    const line = held.lines.get(held.history);
    const rev = Math.max(0, held.rev - back);
    const at = line?.at[rev] ?? [];
    // Only what was not changed since can be told from the rows; others are cut away with what follows.
    const whole = at.findIndex((was, index) => held.rows[index]?.rev !== was);
    const rows = held.rows.slice(0, whole < 0 ? at.length : whole);
    held.history = this.#histories++;
    held.rows = rows;
    held.rev = rev;
    held.lines.set(held.history, { at: [] });
    held.note();
    if (!live) {
      this.cut();
    }
    this.#touched(held);
  }

  /** The user's own list is another one: every cursor is too old. */
  restoreList(): void {
    this.userHistory += 1;
    this.cut();
  }

  gone(id: string): void {
    this.torn.add(id);
    this.conversations.delete(id);
    this.userHistory += 1;
    this.cut();
  }

  /** Events of this connection are dropped, and it is told so. Answers are not. */
  overflow(keep: number): void {
    this.down = this.down?.filter((frame, at) => at < keep || frame.id !== undefined || frame.type === 'hello');
    this.#tell({ type: 'sync_required', data: {} });
  }

  #touched(held: Conversation): void {
    this.userRev += 1;
    held.userRev = this.userRev;
    const { id, rev, history } = held;
    const data = { conversation_id: id, history: String(history), rev, mark_rev: 0, user_rev: this.userRev, unread: 0 };
    this.#tell({ type: 'inbox_updated', data });
  }

  #tell(frame: Frame): void {
    this.down?.push(frame);
  }

  #refuse(reference: number | undefined, code: string): void {
    if (reference !== undefined) {
      this.#tell({ type: 'error', id: reference, data: { code, message: '', retry_after_ms: null, details: {} } });
    }
  }

  /** Takes the device's next frame; `busy` refuses it for now. */
  take(busy: boolean): void {
    const frame = this.up.shift();
    if (!frame) {
      return;
    }
    const { type, id } = frame;
    if (busy && type !== 'heartbeat') {
      this.#refuse(id, 'busy');
    } else if (type === 'send_message') {
      const data = frame.data as ClientFrames['send_message'];
      this.say(data.conversation_id ?? '', ME, data.content, data.client_id ?? undefined, id);
    } else if (type === 'edit_message') {
      const data = frame.data as ClientFrames['edit_message'];
      this.edit(data.conversation_id, data.seq, data.content, id);
    } else if (type === 'delete_message') {
      const data = frame.data as ClientFrames['delete_message'];
      this.remove(data.conversation_id, data.seq, id);
    } else if (type === 'heartbeat') {
      this.#tell({ type: 'heartbeat', data: { server_time: 0, user_rev: this.userRev } });
    } else if (id !== undefined) {
      this.#tell({ type: 'ok', id, data: {} });
    }
  }

  sync(cursor: string | undefined, limit: number): Sync {
    const [history = 0, since = 0] = (cursor ?? '0.0').split('.').map(Number);
    const reset = cursor !== undefined && history !== this.userHistory;
    const from = history === this.userHistory ? since : 0;
    const changed = [...this.conversations.values()]
      .filter((held) => held.userRev > from)
      .sort((a, b) => a.userRev - b.userRev);
    const named = changed.slice(0, limit);
    const more = changed.length > limit;
    const upTo = more ? (named[named.length - 1]?.userRev ?? 0) : this.userRev;
    const conversations = named.map((held) => this.#entry(held));
    return { conversations, removed: [], cursor: `${this.userHistory}.${upTo}`, user_rev: upTo, more, reset };
  }

  #entry(held: Conversation): Entry {
    const { id, rev, history, rows } = held;
    const last = rows[rows.length - 1];
    const settings = { history_for: 'all' as const };
    const inbox = { pinned: false, muted_until: null, archived: false, hidden_to: 0, marked_unread: false };
    const numbers = { head_seq: rows.length, rev, mark_rev: 0, history: String(history) };
    return {
      conversation: {
        conversation_id: id,
        type: 'group',
        member_count: 2,
        large: false,
        created_at: 0,
        settings,
        ...numbers,
      },
      membership: { role: 'member', joined_seq: 1, read_seq: 0, delivered_seq: rows.length, unread_floor: 0 },
      last_message: last ?? null,
      unread: 0,
      inbox,
    };
  }

  /** `undefined`: there is no such conversation. */
  changes(id: string, since: number, history: string | undefined, limit: number): Changes | undefined {
    const held = this.conversations.get(id);
    if (!held) {
      return undefined;
    }
    const none = { messages: [], members: [], receipts: [], mark_rev: 0, history: String(held.history), more: false };
    if (since > held.rev || (history !== undefined && history !== String(held.history))) {
      return { ...none, rev: held.rev, reset: true };
    }
    const changed = held.rows.filter((row) => row.rev > since).sort((a, b) => a.rev - b.rev);
    const next = changed[limit];
    const rev = next ? next.rev - 1 : held.rev;
    return { ...none, messages: changed.slice(0, limit), rev, more: next !== undefined, reset: false };
  }

  page(id: string, anchor: object, limit: number): MessagePage | undefined {
    const held = this.conversations.get(id);
    if (!held) {
      return undefined;
    }
    const head = held.rows.length;
    let [lo, hi] = [Math.max(1, head - limit + 1), head];
    if ('before' in anchor) {
      [lo, hi] = [Math.max(1, Number(anchor.before) - limit), Math.min(head, Number(anchor.before) - 1)];
    } else if ('after' in anchor) {
      [lo, hi] = [Number(anchor.after) + 1, Math.min(head, Number(anchor.after) + limit)];
    } else if ('around' in anchor) {
      lo = Math.max(1, Number(anchor.around) - Math.floor(limit / 2));
      hi = Math.min(head, lo + limit - 1);
    }
    return {
      messages: held.rows.slice(lo - 1, hi),
      has_more_before: lo > 1,
      has_more_after: hi < head,
      first_seq: 1,
      head_seq: head,
      rev: held.rev,
      history: String(held.history),
    };
  }
}
