// A storage that lives as long as its object. For bots and tests, and where a browser gives none.

import type { StoredConversation, StoredWhole } from '../device/conversation.ts';
import type { StoredMembers } from '../device/members.ts';
import type { StoredQueue } from '../device/outbox.ts';
import type { Row } from '../device/rows.ts';
import type { Storage, Stored, StoredMeta, Write } from './storage.ts';

export class MemoryStorage implements Storage {
  #meta: StoredMeta | undefined;
  #conversations = new Map<string, StoredConversation>();
  #members = new Map<string, StoredMembers>();
  #queues = new Map<string, StoredQueue>();
  #messages = new Map<string, Map<number, Row>>();

  async load(): Promise<Stored> {
    const conversations = [...this.#conversations.values()];
    return { meta: this.#meta, conversations, queues: [...this.#queues.values()] };
  }

  async read(id: string): Promise<StoredWhole | undefined> {
    const conversation = this.#conversations.get(id);
    const rows = [...(this.#messages.get(id)?.values() ?? [])];
    return conversation && { conversation, members: this.#members.get(id), rows };
  }

  async write(batch: readonly Write[]): Promise<void> {
    for (const write of batch) {
      if (write.table === 'meta') {
        this.#meta = write.value;
      } else if (write.table === 'messages') {
        this.#message(write);
      } else if (write.table === 'conversations') {
        put(this.#conversations, write.id, write.value);
      } else if (write.table === 'members') {
        put(this.#members, write.id, write.value);
      } else {
        put(this.#queues, write.id, write.value);
      }
    }
  }

  async erase(): Promise<void> {
    this.#meta = undefined;
    for (const table of [this.#conversations, this.#members, this.#queues, this.#messages]) {
      table.clear();
    }
  }

  close(): void {
    // Nothing is held open.
  }

  #message(write: Write & { table: 'messages' }): void {
    if (write.seq === 'all') {
      this.#messages.delete(write.id);
      return;
    }
    const rows = this.#messages.get(write.id) ?? new Map<number, Row>();
    this.#messages.set(write.id, rows);
    put(rows, write.seq, write.value);
  }
}

function put<K, V>(table: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) {
    table.delete(key);
  } else {
    table.set(key, value);
  }
}
