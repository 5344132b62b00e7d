// A network that fails by a seed: requests and answers are lost and late, frames are late or lost,
// sockets break. Frames of one socket stay in their order, as on a real one.

import { WebSocket } from 'ws';
import { browserPlatform, type Platform, type Socket } from '../../src/index.ts';
import type { Chance } from './chance.ts';

const REFUSED = 1006;

/** Probabilities, and the longest delay. */
export type Faults = {
  /** A request never arrives, or its answer does not. */
  call: number;
  /** An event is lost on a socket that stays. */
  event: number;
  /** A command's answer is lost on a socket that stays. */
  ack: number;
  /** A socket breaks at a frame. */
  cut: number;
  delayMs: number;
};

export const CALM: Faults = { call: 0, event: 0, ack: 0, cut: 0, delayMs: 0 };

/** The network of one device. */
export class Network {
  faults: Faults;
  /** No network at all. */
  offline = false;
  readonly platform: Platform;
  readonly #chance: Chance;
  readonly #sockets = new Set<FaultySocket>();

  constructor(faults: Faults, chance: Chance, newId: () => string) {
    this.faults = faults;
    this.#chance = chance;
    this.platform = {
      ...browserPlatform(),
      fetch: (url, init) => this.#fetch(url, init),
      openSocket: (url, protocol) => this.#open(url, protocol),
      random: chance.next,
      newId,
      // Waits of seconds would only make the walk long.
      after: (ms, then) => browserPlatform().after(Math.min(ms, 1_000), then),
    };
  }

  /** Every socket of this device breaks. */
  cut(): void {
    for (const socket of [...this.#sockets]) {
      socket.break();
    }
  }

  goOffline(): void {
    this.offline = true;
    this.cut();
  }

  delay(): number {
    return this.faults.delayMs === 0 ? 0 : this.#chance.below(this.faults.delayMs);
  }

  happens(fault: 'event' | 'ack' | 'cut'): boolean {
    return this.#chance.often(this.faults[fault]);
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const lost = this.#chance.often(this.faults.call);
    const before = this.#chance.often(0.5);
    await pause(this.delay());
    if (this.offline || (lost && before)) {
      throw new TypeError('the request was lost');
    }
    const response = await fetch(url, init);
    const text = await response.text();
    await pause(this.delay());
    if (this.offline || lost) {
      throw new TypeError('the answer was lost');
    }
    return new Response(response.status === 204 ? null : text, { status: response.status });
  }

  #open(url: string, protocol: string): Socket {
    const socket = new FaultySocket(this, url, protocol);
    this.#sockets.add(socket);
    return socket;
  }

  gone(socket: FaultySocket): void {
    this.#sockets.delete(socket);
  }
}

class FaultySocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #network: Network;
  readonly #inner: WebSocket;
  /** Frames in their order, each after its delay. */
  #arriving: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(network: Network, url: string, protocol: string) {
    this.#network = network;
    this.#inner = new WebSocket(url, protocol);
    this.#inner.on('message', (data) => this.#later(() => this.#message(String(data))));
    this.#inner.on('close', (code, reason) => this.#later(() => this.#end(code, reason.toString())));
    // `close` follows.
    this.#inner.on('error', () => undefined);
    if (network.offline) {
      this.break();
    }
  }

  get readyState(): number {
    return this.#closed ? 3 : this.#inner.readyState;
  }

  send(text: string): void {
    if (this.#network.happens('cut')) {
      // Half of them were on their way already.
      if (this.#network.delay() % 2 === 0) {
        this.#inner.send(text);
      }
      this.break();
      return;
    }
    this.#inner.send(text);
  }

  close(): void {
    this.#closed = true;
    this.#network.gone(this);
    this.#inner.terminate();
  }

  break(): void {
    this.#inner.terminate();
    setTimeout(() => this.#end(REFUSED, ''), 0);
  }

  #message(text: string): void {
    const network = this.#network;
    const { type, id } = JSON.parse(text) as { type: string; id?: number };
    // A lost receipt is found by the next reconnect only: marks never ask for anything.
    const may = type !== 'hello' && type !== 'receipt';
    if (this.#closed || (may && network.happens(id === undefined ? 'event' : 'ack'))) {
      return;
    }
    if (network.happens('cut')) {
      this.break();
      return;
    }
    this.onmessage?.({ data: text });
  }

  #end(code: number, reason: string): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#network.gone(this);
      this.onclose?.({ code, reason });
    }
  }

  #later(then: () => void): void {
    this.#arriving = this.#arriving.then(() => pause(this.#network.delay())).then(then);
  }
}

function pause(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((done) => setTimeout(done, ms));
}
