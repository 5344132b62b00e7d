// A storage in the browser's IndexedDB: one database for each account.
//
// Layouts are numbered by `VERSION`: an older database is emptied; a newer one, of a newer tab, is left
// alone and opening fails.

import type { StoredConversation, StoredWhole } from '../device/conversation.ts';
import type { StoredMembers } from '../device/members.ts';
import type { StoredQueue } from '../device/outbox.ts';
import type { Row } from '../device/rows.ts';
import { type Storage, type Stored, type StoredMeta, VERSION, type Write } from './storage.ts';

const TABLES = ['meta', 'conversations', 'members', 'queues', 'messages'] as const;
const META_KEY = 'meta';

export class IndexedDbStorage implements Storage {
  readonly #factory: IDBFactory;
  readonly #name: string;
  #database: Promise<IDBDatabase> | undefined;

  /** `account` names the server and the user: two accounts never share a database. */
  constructor(account: string, factory: IDBFactory = indexedDB) {
    this.#factory = factory;
    this.#name = `ostracon:${account}`;
  }

  async load(): Promise<Stored> {
    const transaction = await this.#transaction('readonly');
    const all = <T>(table: (typeof TABLES)[number]): Promise<T[]> => value(transaction.objectStore(table).getAll());
    const [meta, conversations, queues] = await Promise.all([
      value<StoredMeta | undefined>(transaction.objectStore('meta').get(META_KEY)),
      all<StoredConversation>('conversations'),
      all<StoredQueue>('queues'),
    ]);
    return { meta, conversations, queues };
  }

  async read(id: string): Promise<StoredWhole | undefined> {
    const transaction = await this.#transaction('readonly');
    const [conversation, members, rows] = await Promise.all([
      value<StoredConversation | undefined>(transaction.objectStore('conversations').get(id)),
      value<StoredMembers | undefined>(transaction.objectStore('members').get(id)),
      value<Row[]>(transaction.objectStore('messages').getAll(rowsOf(id))),
    ]);
    return conversation && { conversation, members, rows };
  }

  async write(batch: readonly Write[]): Promise<void> {
    const transaction = await this.#transaction('readwrite');
    const done = finished(transaction);
    try {
      for (const write of batch) {
        put(transaction, write);
      }
    } catch (error) {
      // A value that cannot be stored: what was put before it must not stay.
      transaction.abort();
      await done.catch(() => undefined);
      throw error;
    }
    await done;
  }

  async erase(): Promise<void> {
    // Emptied first: another tab may hold the database open, and then it cannot be removed yet.
    const transaction = await this.#transaction('readwrite');
    const done = finished(transaction);
    for (const table of TABLES) {
      transaction.objectStore(table).clear();
    }
    await done;
    this.close();
    await new Promise<void>((resolve) => {
      const request = this.#factory.deleteDatabase(this.#name);
      request.onsuccess = () => resolve();
      request.onerror = () => resolve();
      request.onblocked = () => resolve();
    });
  }

  close(): void {
    this.#database?.then(
      (database) => database.close(),
      () => undefined,
    );
    this.#database = undefined;
  }

  async #transaction(mode: IDBTransactionMode): Promise<IDBTransaction> {
    this.#database ??= this.#open();
    // A failed opening is tried again next time.
    this.#database.catch(() => {
      this.#database = undefined;
    });
    return (await this.#database).transaction(TABLES, mode);
  }

  #open(): Promise<IDBDatabase> {
    const request = this.#factory.open(this.#name, VERSION);
    request.onupgradeneeded = () => {
      for (const name of [...request.result.objectStoreNames]) {
        request.result.deleteObjectStore(name);
      }
      for (const name of TABLES) {
        request.result.createObjectStore(name);
      }
    };
    return new Promise((resolve, reject) => {
      request.onsuccess = () => {
        const database = request.result;
        // Another tab erases it or brings a newer layout: it must not wait for this one.
        database.onversionchange = () => this.close();
        database.onclose = () => {
          this.#database = undefined;
        };
        resolve(database);
      };
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error('another tab holds an older layout open'));
    });
  }
}

function put(transaction: IDBTransaction, write: Write): void {
  const table = transaction.objectStore(write.table);
  if (write.table === 'meta') {
    table.put(write.value, META_KEY);
  } else if (write.value === undefined) {
    table.delete(write.table === 'messages' && write.seq === 'all' ? rowsOf(write.id) : keyOf(write));
  } else {
    table.put(write.value, keyOf(write));
  }
}

function keyOf(write: Exclude<Write, { table: 'meta' }>): IDBValidKey {
  return write.table === 'messages' ? [write.id, Number(write.seq)] : write.id;
}

function rowsOf(id: string): IDBKeyRange {
  // A list sorts behind every number.
  return IDBKeyRange.bound([id], [id, []], false, true);
}

function value<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
  });
}
