// What a client needs of the world around it. Given by the browser; tests give their own, with faults.

import { randomUuid } from './ids.ts';

/** A WebSocket as browsers have it, and no more of it than is used. */
export type Socket = {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
};

export interface Platform {
  fetch(url: string, init: RequestInit): Promise<Response>;
  openSocket(url: string, protocol: string): Socket;
  /** Runs `then` once after `ms`; the answer stops it. */
  after(ms: number, then: () => void): () => void;
  /** 0 up to 1, without 1. */
  random(): number;
  /** Unix milliseconds. */
  now(): number;
  /** A text that nobody used before. */
  newId(): string;
}

export function browserPlatform(): Platform {
  return {
    fetch: (url, init) => fetch(url, init),
    openSocket: (url, protocol) => new WebSocket(url, protocol) as unknown as Socket,
    after: (ms, then) => {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    now: () => Date.now(),
    // `crypto.randomUUID` would need a secure page.
    newId: () => randomUuid(crypto.getRandomValues(new Uint8Array(16))),
  };
}
