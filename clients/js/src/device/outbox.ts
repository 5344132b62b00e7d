// What a user said and the server has not yet taken: in order for each conversation, with the same
// client id over every retry. After a retryable refusal later commands of that conversation wait until
// the first is through.

import { type ClientFrames, RETRYABLE, type Error as WireError } from '../generated/wire.ts';
import type { Desk, Frame } from './desk.ts';

/** Commands that must become durable. */
export type CommandType = 'send_message' | 'edit_message' | 'delete_message' | 'react';

export type Outgoing = { [T in CommandType]: { type: T; data: ClientFrames[T] } }[CommandType];

export type MarkKind = 'delivered' | 'read';

export type Item = {
  readonly command: Outgoing;
  /** When it was said, Unix milliseconds, by this device's clock. */
  readonly at: number;
  /** Refused for good; it stays until the user decides. */
  error: WireError | undefined;
  reference: number | undefined;
};

/** What is stored of one conversation's queue: commands in order, and own marks that are not through. */
export type StoredQueue = {
  id: string;
  items: { command: Outgoing; at: number; error: WireError | undefined }[];
  marks: Partial<Record<MarkKind, number>>;
};

/** What an answer was an answer to. */
export type Done =
  | { kind: 'command'; conversation: string; command: Outgoing }
  | { kind: 'mark'; conversation: string; mark: MarkKind; seq: number };

/** What a refusal was a refusal of: tried again later, a send that failed for good, something else. */
export type Refused =
  | { kind: 'held' }
  | { kind: 'send'; conversation: string; clientId: string }
  | { kind: 'other'; conversation: string };

/**
 * open: commands are sent. waiting: refused for now, nothing is sent. trying: only the first is tried.
 * open → waiting (refused) → trying (released) → waiting (refused again) or open (the first is through).
 */
type Gate = { state: 'open' } | { state: 'waiting' | 'trying'; attempt: number };

type OwnMark = { wanted: number; done: number; reference: number | undefined; waiting: boolean };

class Queue {
  items: Item[] = [];
  gate: Gate = { state: 'open' };
  readonly marks: Record<MarkKind, OwnMark> = { delivered: ownMark(), read: ownMark() };

  /** Takes a command out; when the first is through, the others may follow. */
  remove(at: number): void {
    this.items.splice(at, 1);
    if (this.items.slice(0, at).every((item) => item.error)) {
      this.gate = { state: 'open' };
    }
  }

  get empty(): boolean {
    return this.items.length === 0 && KINDS.every((kind) => this.marks[kind].done >= this.marks[kind].wanted);
  }
}

const KINDS: readonly MarkKind[] = ['delivered', 'read'];

function ownMark(): OwnMark {
  return { wanted: 0, done: 0, reference: undefined, waiting: false };
}

export class Outbox {
  /** Commands that may be under way in all; the server names it. */
  inFlightMax = 1;
  /** Conversations whose queue is to be stored. */
  readonly dirty = new Set<string>();
  readonly #window: number;
  #queues = new Map<string, Queue>();
  #underWay = new Map<number, { conversation: string; mark?: MarkKind; seq?: number }>();
  #lastReference = 0;

  constructor(window: number) {
    this.#window = Math.max(1, window);
  }

  restore(stored: StoredQueue): void {
    const queue = this.#queue(stored.id);
    queue.items = stored.items.map((item) => ({ ...item, reference: undefined }));
    for (const kind of KINDS) {
      queue.marks[kind].wanted = stored.marks[kind] ?? 0;
    }
  }

  /** `undefined`: nothing waits there. */
  stored(id: string): StoredQueue | undefined {
    const queue = this.#queues.get(id);
    if (!queue || queue.empty) {
      return undefined;
    }
    const marks: StoredQueue['marks'] = {};
    for (const kind of KINDS) {
      const { wanted, done } = queue.marks[kind];
      if (wanted > done) {
        marks[kind] = wanted;
      }
    }
    return { id, items: queue.items.map(({ command, at, error }) => ({ command, at, error })), marks };
  }

  /** All of it is to be stored. */
  rewrite(): void {
    for (const id of this.#queues.keys()) {
      this.dirty.add(id);
    }
  }

  push(conversation: string, command: Outgoing, at: number): void {
    this.#queue(conversation).items.push({ command, at, error: undefined, reference: undefined });
    this.dirty.add(conversation);
  }

  /** A mark is to reach `seq`; lower than before changes nothing. */
  mark(conversation: string, kind: MarkKind, seq: number): void {
    const mark = this.#queue(conversation).marks[kind];
    if (seq > mark.wanted) {
      mark.wanted = seq;
      this.dirty.add(conversation);
    }
  }

  /** What waits in a conversation, in order. */
  items(conversation: string): readonly Item[] {
    return this.#queues.get(conversation)?.items ?? [];
  }

  /** Whether nothing waits but what failed for good. */
  get empty(): boolean {
    return [...this.#queues.values()].every(
      (queue) =>
        queue.items.every((item) => item.error) &&
        KINDS.every((kind) => queue.marks[kind].done >= queue.marks[kind].wanted),
    );
  }

  /** How many commands wait for their answer. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Sends what may be sent. */
  pump(desk: Desk): void {
    for (const [conversation, queue] of this.#queues) {
      const { gate } = queue;
      let left = gate.state === 'open' ? this.#window : gate.state === 'trying' ? 1 : 0;
      for (const item of queue.items) {
        if (left === 0 || this.#underWay.size >= this.inFlightMax) {
          break;
        }
        if (item.error) {
          continue;
        }
        left -= 1;
        if (item.reference === undefined) {
          item.reference = this.#send(desk, item.command, { conversation });
        }
      }
      for (const kind of KINDS) {
        const mark = queue.marks[kind];
        const due = mark.wanted > mark.done && mark.reference === undefined && !mark.waiting;
        if (due && this.#underWay.size < this.inFlightMax) {
          const seq = mark.wanted;
          const type = kind === 'read' ? 'mark_read' : 'mark_delivered';
          const data = { conversation_id: conversation, seq };
          mark.reference = this.#send(desk, { type, data }, { conversation, mark: kind, seq });
        }
      }
    }
  }

  #send(desk: Desk, command: Frame, about: { conversation: string; mark?: MarkKind; seq?: number }): number {
    this.#lastReference += 1;
    this.#underWay.set(this.#lastReference, about);
    desk.push({ kind: 'frame', frame: { ...command, id: this.#lastReference } });
    return this.#lastReference;
  }

  /** The answer with this reference came. */
  done(reference: number): Done | undefined {
    const about = this.#underWay.get(reference);
    const queue = about && this.#queues.get(about.conversation);
    this.#underWay.delete(reference);
    if (!about || !queue) {
      return undefined;
    }
    const { conversation } = about;
    this.dirty.add(conversation);
    if (about.mark !== undefined && about.seq !== undefined) {
      const mark = queue.marks[about.mark];
      mark.reference = undefined;
      mark.done = Math.max(mark.done, about.seq);
      return { kind: 'mark', conversation, mark: about.mark, seq: about.seq };
    }
    const at = queue.items.findIndex((item) => item.reference === reference);
    const item = queue.items[at];
    if (!item) {
      return undefined;
    }
    queue.remove(at);
    return { kind: 'command', conversation, command: item.command };
  }

  /** A message of one's own was seen in the conversation: it is through, whoever says so. */
  seen(conversation: string, clientId: string): boolean {
    const queue = this.#queues.get(conversation);
    const at = queue ? queue.items.findIndex((item) => clientIdOf(item.command) === clientId) : -1;
    const reference = queue?.items[at]?.reference;
    if (!queue || at < 0) {
      return false;
    }
    if (reference !== undefined) {
      this.#underWay.delete(reference);
    }
    queue.remove(at);
    this.dirty.add(conversation);
    return true;
  }

  /** The refusal with this reference came. */
  refused(reference: number, error: WireError, desk: Desk): Refused | undefined {
    const about = this.#underWay.get(reference);
    const queue = about && this.#queues.get(about.conversation);
    this.#underWay.delete(reference);
    if (!about || !queue) {
      return undefined;
    }
    const { conversation } = about;
    const retry = RETRYABLE.has(error.code);
    const retryAfterMs = error.retry_after_ms ?? undefined;
    this.dirty.add(conversation);
    if (about.mark !== undefined && about.seq !== undefined) {
      const mark = queue.marks[about.mark];
      mark.reference = undefined;
      if (retry) {
        mark.waiting = true;
        desk.push({ kind: 'hold', conversation, attempt: 0, retryAfterMs });
        return { kind: 'held' };
      }
      mark.done = Math.max(mark.done, about.seq);
      return { kind: 'other', conversation };
    }
    const at = queue.items.findIndex((item) => item.reference === reference);
    const item = queue.items[at];
    if (!item) {
      return undefined;
    }
    item.reference = undefined;
    if (retry) {
      // When another one was refused before, its wait counts for all.
      if (queue.gate.state !== 'waiting') {
        const attempt = queue.gate.state === 'trying' ? queue.gate.attempt + 1 : 0;
        queue.gate = { state: 'waiting', attempt };
        desk.push({ kind: 'hold', conversation, attempt, retryAfterMs });
      }
      return { kind: 'held' };
    }
    const clientId = clientIdOf(item.command);
    if (clientId !== undefined) {
      item.error = error;
      queue.gate = { state: 'open' };
      return { kind: 'send', conversation, clientId };
    }
    queue.remove(at);
    return { kind: 'other', conversation };
  }

  /** The wait of a conversation is over: its first command is tried again. */
  release(conversation: string): void {
    const queue = this.#queues.get(conversation);
    if (queue?.gate.state === 'waiting') {
      queue.gate = { state: 'trying', attempt: queue.gate.attempt };
    }
    for (const kind of queue ? KINDS : []) {
      (queue as Queue).marks[kind].waiting = false;
    }
  }

  /** The connection is gone: what has no answer is sent again on the next one. */
  disconnected(): void {
    this.#underWay.clear();
    for (const queue of this.#queues.values()) {
      for (const item of queue.items) {
        item.reference = undefined;
      }
      for (const kind of KINDS) {
        queue.marks[kind].reference = undefined;
      }
    }
  }

  /** Tries a failed send once more, under the same client id and at its old place. */
  retry(conversation: string, clientId: string): boolean {
    const item = this.#failed(conversation, clientId);
    if (item) {
      item.error = undefined;
      this.dirty.add(conversation);
    }
    return item !== undefined;
  }

  /** Gives a failed send up. */
  discard(conversation: string, clientId: string): boolean {
    const item = this.#failed(conversation, clientId);
    const queue = this.#queues.get(conversation);
    if (item && queue) {
      queue.items = queue.items.filter((other) => other !== item);
      this.dirty.add(conversation);
    }
    return item !== undefined;
  }

  #failed(conversation: string, clientId: string): Item | undefined {
    const items = this.items(conversation);
    return items.find((item) => item.error && clientIdOf(item.command) === clientId);
  }

  /** Nothing is marked in a conversation that is gone. */
  forgetMarks(conversation: string): void {
    const queue = this.#queues.get(conversation);
    if (queue) {
      queue.marks.delivered = ownMark();
      queue.marks.read = ownMark();
      this.dirty.add(conversation);
    }
  }

  #queue(conversation: string): Queue {
    let queue = this.#queues.get(conversation);
    if (!queue) {
      queue = new Queue();
      this.#queues.set(conversation, queue);
    }
    return queue;
  }
}

export function clientIdOf(command: Outgoing): string | undefined {
  return command.type === 'send_message' ? (command.data.client_id ?? undefined) : undefined;
}
