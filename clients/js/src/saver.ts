// Reads and writes of a storage, one after another, so that what is read was written before. Batches
// that come while one is being written become one.

import { MemoryStorage } from './storage/memory.ts';
import type { Storage, Write } from './storage/storage.ts';

export class Saver {
  #storage: Storage;
  readonly #take: () => Write[];
  readonly #failed: (error: unknown) => void;
  #last: Promise<unknown> = Promise.resolve();
  #saving = false;
  #erased = false;

  /** `take` gives what is to be written; `failed` is told when memory has taken the storage's place. */
  constructor(storage: Storage, take: () => Write[], failed: (error: unknown) => void) {
    this.#storage = storage;
    this.#take = take;
    this.#failed = failed;
  }

  /** Writes what there is to write, soon. */
  save(): void {
    if (this.#saving || this.#erased) {
      return;
    }
    this.#saving = true;
    this.#enqueue(async (storage) => {
      this.#saving = false;
      const batch = this.#take();
      if (batch.length > 0) {
        await storage.write(batch);
      }
    });
  }

  /** Everything up to now is written when this is through; `undefined` when storage has failed. */
  read<T>(read: (storage: Storage) => Promise<T>): Promise<T | undefined> {
    this.save();
    return this.#enqueue(read);
  }

  /** Through when everything up to now is written. */
  async settled(): Promise<void> {
    this.save();
    await this.#last;
  }

  /** Nothing of the account stays, and nothing more is written. */
  async erase(): Promise<void> {
    this.#erased = true;
    await this.#enqueue((storage) => storage.erase());
  }

  async close(): Promise<void> {
    await this.#last;
    this.#storage.close();
  }

  #enqueue<T>(job: (storage: Storage) => Promise<T>): Promise<T | undefined> {
    const storage = (): Storage => this.#storage;
    const done = this.#last.then(async () => {
      const used = storage();
      try {
        return await job(used);
      } catch (error) {
        // Full, blocked or evicted. What it holds stays as it is: an older state, but a right one.
        if (used === this.#storage && !this.#erased) {
          used.close();
          this.#storage = new MemoryStorage();
          this.#failed(error);
        }
        return undefined;
      }
    });
    this.#last = done;
    return done;
  }
}
