// A storage that a test can tear away, as a closed tab or a killed process does: what was not written
// by then never will be.

import type { Storage, Stored, Write } from '../../src/index.ts';

type Whole = Awaited<ReturnType<Storage['read']>>;

export class TornStorage implements Storage {
  readonly #inner: Storage;
  #torn = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(inner: Storage) {
    this.#inner = inner;
  }

  /** Through when what was begun is written; nothing else will be. */
  tear(): Promise<void> {
    this.#torn = true;
    return this.#writing;
  }

  load(): Promise<Stored> {
    return this.#inner.load();
  }

  read(id: string): Promise<Whole> {
    return this.#inner.read(id);
  }

  async write(batch: readonly Write[]): Promise<void> {
    if (!this.#torn) {
      this.#writing = this.#inner.write(batch);
      await this.#writing;
    }
  }

  async erase(): Promise<void> {
    await this.#inner.erase();
  }

  close(): void {
    // The inner one is used again by the next client.
  }
}
