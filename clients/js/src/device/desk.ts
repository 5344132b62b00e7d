// What a device wants done: requests, frames, waits, notices. Doing it is the work of the client.

import type { ClientFrames, Error as WireError } from '../generated/wire.ts';

/** Which page of messages: the newest, or one beside or around a position. */
export type Anchor = { newest: true } | { before: number } | { after: number } | { around: number };

/** A question whose answer goes to `Device.answer`, under the same id. */
export type Request =
  | { kind: 'sync'; cursor: string | undefined; limit: number }
  | {
      kind: 'changes';
      conversation: string;
      sinceRev: number;
      sinceMark: number;
      history: string | undefined;
      limit: number;
    }
  | { kind: 'page'; conversation: string; anchor: Anchor; limit: number }
  | { kind: 'members'; conversation: string; cursor: string | undefined }
  /** Answered by the storage, not by the server. */
  | { kind: 'wake'; conversation: string };

/** A command of the device with its reference. */
export type Frame = { [T in keyof ClientFrames]: { type: T; id?: number; data: ClientFrames[T] } }[keyof ClientFrames];

/** What a user interface should know. What changed is read from a snapshot. */
export type ClientEvent =
  /** Events flow; sends go out. */
  | { type: 'connected' }
  /** They do not; the client comes back by itself. */
  | { type: 'disconnected' }
  /** The chat list is level with the server. */
  | { type: 'synced' }
  /** Something of a conversation changed: messages, members, marks, unread, what waits to be sent. */
  | { type: 'changed'; conversation: string }
  /** The conversation is gone from the list. */
  | { type: 'removed'; conversation: string }
  /** A message is durable. */
  | { type: 'sent'; conversation: string; clientId: string; seq: number }
  /** A message was refused for good; it stays among the failed ones. */
  | { type: 'send_failed'; conversation: string; clientId: string; error: WireError }
  /** Another command or question was refused for good. */
  | { type: 'refused'; conversation: string; error: WireError }
  /** The session is over; only a new token helps. */
  | { type: 'signed_out' }
  /** The connection cannot be opened again by itself. */
  | { type: 'stopped'; reason: string }
  /** The storage failed: the client works on from memory. */
  | { type: 'storage_failed'; reason: string }
  /** A frame that no rule here is about, such as typing and presence. */
  | { type: 'frame'; frame: { type: string; data: Record<string, unknown> } };

/** Something to do, in order. */
export type Output =
  | { kind: 'ask'; id: number; request: Request }
  /** The answer is of no use any more; one that comes all the same is ignored. */
  | { kind: 'cancel'; id: number }
  | { kind: 'frame'; frame: Frame }
  /** Call `Device.release` after a delay; `attempt` counts the refusals in a row before this one. */
  | { kind: 'hold'; conversation: string; attempt: number; retryAfterMs: number | undefined }
  | { kind: 'notify'; event: ClientEvent };

/** Requests under way, and outputs not yet taken. */
export class Desk {
  #lastId = 0;
  #asked = new Map<number, Request>();
  #outputs: Output[] = [];
  #changed = new Set<string>();
  #dropped: string[] = [];

  ask(request: Request): number {
    this.#lastId += 1;
    this.#asked.set(this.#lastId, request);
    this.#outputs.push({ kind: 'ask', id: this.#lastId, request });
    return this.#lastId;
  }

  cancel(id: number | undefined): void {
    if (id !== undefined && this.#asked.delete(id)) {
      this.#outputs.push({ kind: 'cancel', id });
    }
  }

  /** What an answer is about; `undefined` for one that nobody waits for. */
  close(id: number): Request | undefined {
    const request = this.#asked.get(id);
    this.#asked.delete(id);
    return request;
  }

  get idle(): boolean {
    return this.#asked.size === 0;
  }

  push(output: Output): void {
    this.#outputs.push(output);
  }

  notify(event: ClientEvent): void {
    this.#outputs.push({ kind: 'notify', event });
  }

  /** Told once, however often it changes before somebody looks. */
  changed(conversation: string): void {
    this.#changed.add(conversation);
  }

  /** What a conversation had reached belongs to another history now. */
  dropped(conversation: string): void {
    this.#dropped.push(conversation);
  }

  takeDropped(): string[] {
    return this.#dropped.splice(0);
  }

  take(): Output[] {
    const outputs = this.#outputs.splice(0);
    for (const conversation of this.#changed) {
      outputs.push({ kind: 'notify', event: { type: 'changed', conversation } });
    }
    this.#changed.clear();
    return outputs;
  }
}
