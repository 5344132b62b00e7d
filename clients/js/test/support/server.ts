// The real server: the binary of this repository, on a free port, with a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 20_000;
const POLL_MS = 20;

/** `OSTRACON`, or what cargo built last here. */
function binary(): string {
  const target = process.env.CARGO_TARGET_DIR ?? resolve('../../target');
  const candidates = [process.env.OSTRACON, join(target, 'release/ostracon'), join(target, 'debug/ostracon')];
  const found = candidates.find((path) => path !== undefined && existsSync(path));
  if (found === undefined) {
    throw new Error('no server: `cargo build --bin ostracon`, or OSTRACON=path/to/ostracon');
  }
  return found;
}

function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const probe = createServer();
    probe.on('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export class Server {
  readonly url: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), 'ostracon-js-')), await freePort());
    await server.run();
    return server;
  }

  /** Through when it serves. */
  async run(): Promise<void> {
    const words: string[] = [];
    const listen = `127.0.0.1:${this.#port}`;
    const data = join(this.#folder, 'data');
    const arguments_ = ['serve', '--no-rate-limits', '--log-level', 'warn', '--data-dir', data, '--listen', listen];
    const child = spawn(binary(), arguments_, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => words.push(chunk.toString()));
    }
    const end = Date.now() + READY_MS;
    while (Date.now() < end && child.exitCode === null) {
      try {
        const response = await fetch(`${this.url}/readyz`);
        await response.text();
        if (response.ok) {
          return;
        }
      } catch {
        // Not yet.
      }
      await sleep(POLL_MS);
    }
    throw new Error(`the server did not become ready: ${words.join('').slice(-2000)}`);
  }

  /** `SIGKILL`: as if the power failed. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill(signal);
      await gone;
    }
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}
