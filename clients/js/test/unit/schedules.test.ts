// A device beside the twin of a server, in every order that a seed can think of: frames, answers,
// losses, cuts, other histories, reloads. Nothing here waits or races: a seed replays exactly.
//
// After every step nothing shown is a hole, a ghost or older than claimed. In the end, once the world
// is quiet, device and storage have what the server has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredWhole } from '../../src/device/conversation.ts';
import type { Output, Request } from '../../src/device/desk.ts';
import { Device } from '../../src/device/device.ts';
import { DEFAULTS } from '../../src/device/options.ts';
import { Window } from '../../src/device/window.ts';
import type { Stored, Write } from '../../src/index.ts';
import { Chance } from '../support/chance.ts';
import { ME, OTHER, Twin } from '../support/twin.ts';

const SEEDS = process.env.SEED
  ? [Number(process.env.SEED)]
  : Array.from({ length: Number(process.env.SEEDS ?? 250) }, (_, at) => at);
const STEPS = 250;
const QUIET_MAX = 2_000;
const IDS = ['a', 'b', 'c', 'd'];
const OPTIONS = {
  ...DEFAULTS,
  members: false,
  pageLimit: 3,
  changesLimit: 2,
  syncLimit: 2,
  cachedMessages: 4,
  awake: 1,
};

/** What `MemoryStorage` does, at once. */
class Kept {
  meta: Stored['meta'];
  readonly #records = new Map<string, StoredWhole['conversation']>();
  readonly #queues = new Map<string, Stored['queues'][number]>();
  readonly #rows = new Map<string, Map<number, StoredWhole['rows'][number]>>();

  write(batch: readonly Write[]): void {
    for (const write of structuredClone(batch)) {
      if (write.table === 'meta') {
        this.meta = write.value;
      } else if (write.table === 'conversations') {
        put(this.#records, write.id, write.value);
      } else if (write.table === 'queues') {
        put(this.#queues, write.id, write.value);
      } else if (write.table === 'messages' && write.seq === 'all') {
        this.#rows.delete(write.id);
      } else if (write.table === 'messages') {
        const rows = this.#rows.get(write.id) ?? new Map();
        put(this.#rows.set(write.id, rows).get(write.id) ?? rows, write.seq, write.value);
      }
    }
  }

  load(): Stored {
    return { meta: this.meta, conversations: [...this.#records.values()], queues: [...this.#queues.values()] };
  }

  read(id: string): StoredWhole | undefined {
    const conversation = this.#records.get(id);
    return conversation && { conversation, members: undefined, rows: [...(this.#rows.get(id)?.values() ?? [])] };
  }
}

function put<K, V>(table: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) {
    table.delete(key);
  } else {
    table.set(key, value);
  }
}

type Asked = { id: number; request: Request; answer?: unknown; computed: boolean };

class Schedule {
  readonly chance: Chance;
  readonly twin = new Twin();
  readonly kept = new Kept();
  device = new Device(ME, OPTIONS);
  #asked: Asked[] = [];
  #holds: string[] = [];
  #said = 0;
  /** Newest rev shown of each message of each line: it never goes back while the device lives. */
  #shown = new Map<string, number>();
  readonly story: string[] = [];

  constructor(seed: number) {
    this.chance = new Chance(seed);
    for (const id of IDS) {
      for (let left = this.chance.below(7); left >= 0; left -= 1) {
        this.twin.say(id, OTHER, 'before');
      }
    }
  }

  step(): void {
    const { chance, twin, device } = this;
    const id = chance.pick(IDS) as string;
    const seq = chance.below(twin.conversations.get(id)?.rows.length ?? 0) + 1;
    const actions: [weight: number, name: string, act: () => void][] = [
      [12, 'they say', () => twin.say(id, OTHER, 'said')],
      [6, 'they edit', () => twin.edit(id, seq, `edited ${twin.userRev}`)],
      [3, 'they delete', () => twin.remove(id, seq)],
      [2, 'novelty', () => twin.novelty(id, seq)],
      [
        8,
        'I say',
        () =>
          device.push(
            id,
            { type: 'send_message', data: { conversation_id: id, content: 'mine', client_id: `${this.#said++}` } },
            0,
          ),
      ],
      [
        2,
        'I edit',
        () => device.push(id, { type: 'edit_message', data: { conversation_id: id, seq, content: 'mine, edited' } }, 0),
      ],
      [1, 'I delete', () => device.push(id, { type: 'delete_message', data: { conversation_id: id, seq } }, 0)],
      [6, 'open', () => device.open(id)],
      [3, 'jump', () => device.open(id, seq)],
      [4, 'close', () => device.close(id)],
      [6, 'older', () => device.loadMore(id, 'before')],
      [3, 'newer', () => device.loadMore(id, 'after')],
      [40, 'a frame arrives', () => this.#arrive()],
      [20, 'a frame is taken', () => twin.take(chance.often(0.1))],
      [25, 'an answer is computed', () => this.#compute(chance.pick(this.#asked))],
      [25, 'an answer arrives', () => this.#answer(chance.pick(this.#asked.filter((one) => one.computed)))],
      [3, 'a request is lost', () => this.#lose(chance.pick(this.#asked))],
      [10, 'a wait ends', () => this.#release()],
      [4, 'stored', () => this.kept.write(device.takeWrites())],
      [6, 'connect', () => this.#connect()],
      [2, 'cut', () => this.#cut()],
      [1, 'an event is lost', () => this.#loseEvent()],
      [1, 'events are dropped', () => twin.overflow(chance.below((twin.down?.length ?? 0) + 1))],
      [1, 'another history', () => this.#restore(id)],
      [0.3, 'another list', () => this.#offline(() => twin.restoreList())],
      [0.3, 'a conversation is gone', () => this.#offline(() => twin.gone(id))],
      [1, 'reload', () => this.#reload()],
    ];
    let left = chance.next() * actions.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, name, act] of actions) {
      left -= weight;
      if (left < 0) {
        this.story.push(`${name} ${id} ${seq}`);
        act();
        break;
      }
    }
    this.#carryOut();
    this.#check();
  }

  /** No more faults: until nothing is left to happen. */
  quiet(): void {
    this.#connect();
    for (let round = 0; round < QUIET_MAX; round += 1) {
      this.#carryOut();
      this.#check();
      this.kept.write(this.device.takeWrites());
      if (this.#holds.length > 0) {
        this.#release();
      } else if (this.twin.up.length > 0) {
        this.twin.take(false);
      } else if (this.twin.down && this.twin.down.length > 0) {
        this.#arrive();
      } else if (this.#asked.length > 0) {
        this.#compute(this.#asked[0]);
        this.#answer(this.#asked[0]);
      } else if (this.device.listing.userRev < this.twin.userRev) {
        // The heartbeat, which finds what was lost without a word.
        this.twin.up.push({ type: 'heartbeat', data: {} });
      } else {
        this.#equal();
        return;
      }
    }
    assert.fail('it never comes to rest');
  }

  #carryOut(): void {
    for (const output of this.device.takeOutputs()) {
      this.#carry(output);
    }
  }

  #carry(output: Output): void {
    if (output.kind === 'ask') {
      this.#asked.push({ id: output.id, request: output.request, computed: false });
    } else if (output.kind === 'cancel') {
      this.#asked = this.#asked.filter(({ id }) => id !== output.id);
    } else if (output.kind === 'frame' && this.twin.down) {
      const { type, id, data } = output.frame;
      this.twin.up.push({ type, ...(id === undefined ? {} : { id }), data });
    } else if (output.kind === 'hold') {
      this.#holds.push(output.conversation);
    } else if (output.kind === 'notify' && output.event.type === 'send_failed') {
      this.device.discard(output.event.conversation, output.event.clientId);
    }
  }

  #arrive(): void {
    const frame = this.twin.down?.shift();
    if (frame) {
      this.device.frame(frame);
    }
  }

  /** An event is lost on a connection that stays: the bus between two nodes lost it. */
  #loseEvent(): void {
    const at = this.twin.down?.findIndex((frame) => frame.id === undefined && frame.type !== 'hello') ?? -1;
    if (at >= 0) {
      this.twin.down?.splice(at, 1);
    }
  }

  #compute(asked: Asked | undefined): void {
    if (!asked || asked.computed) {
      return;
    }
    const { twin } = this;
    const { request } = asked;
    asked.computed = true;
    if (request.kind === 'sync') {
      asked.answer = twin.sync(request.cursor, request.limit);
    } else if (request.kind === 'changes') {
      asked.answer = twin.changes(request.conversation, request.sinceRev, request.history, request.limit);
    } else if (request.kind === 'page') {
      asked.answer = twin.page(request.conversation, request.anchor, request.limit);
    } else if (request.kind === 'wake') {
      this.kept.write(this.device.takeWrites());
      asked.answer = this.kept.read(request.conversation);
    }
  }

  #answer(asked: Asked | undefined): void {
    if (!asked) {
      return;
    }
    this.#asked = this.#asked.filter((one) => one !== asked);
    if (asked.answer === undefined && asked.request.kind !== 'wake') {
      this.device.failed(asked.id, { code: 'not_found', message: '', retry_after_ms: null, details: {} });
    } else {
      this.device.answer(asked.id, asked.answer);
    }
  }

  #lose(asked: Asked | undefined): void {
    if (asked && asked.request.kind !== 'wake') {
      this.#asked = this.#asked.filter((one) => one !== asked);
      this.device.failed(asked.id, undefined);
    }
  }

  #release(): void {
    const conversation = this.#holds.shift();
    if (conversation !== undefined) {
      this.device.release(conversation);
    }
  }

  #connect(): void {
    if (!this.twin.down) {
      this.twin.connect();
    }
  }

  #cut(): void {
    this.twin.cut();
    this.device.disconnected();
  }

  #offline(change: () => void): void {
    change();
    this.device.disconnected();
  }

  #restore(id: string): void {
    const live = this.chance.often(0.5);
    this.twin.restore(id, this.chance.below(4) + 1, live);
    if (!live) {
      this.#cut();
    }
  }

  /** The tab is gone, with what was not stored; another one goes on. */
  #reload(): void {
    this.twin.cut();
    this.#asked = [];
    this.#holds = [];
    this.#shown.clear();
    this.device = new Device(ME, OPTIONS);
    this.device.restore(this.kept.load());
  }

  #check(): void {
    for (const held of this.device.conversations.values()) {
      const { window, id } = held;
      const line = this.twin.conversations.get(id)?.lines.get(Number(held.history));
      if (!window || !line) {
        continue;
      }
      const at = line.at[window.rev];
      assert.ok(at, `${id}: rev ${window.rev} never was in history ${held.history}`);
      for (const { lo, hi } of window.intervals) {
        for (let seq = lo; seq <= hi; seq += 1) {
          const row = window.row(seq);
          assert.ok(row, `${id}: hole at ${seq}`);
          assert.ok(
            line.at.some((revs) => revs?.[seq - 1] === row.rev),
            `${id}: ghost at ${seq}, rev ${row.rev}`,
          );
          // Midway, what is held is the state of no rev.
          assert.ok(
            window.midway || row.rev >= (at[seq - 1] ?? 0),
            `${id}: ${seq} is older than rev ${window.rev} claims`,
          );
          const key = `${id} ${held.history} ${seq}`;
          assert.ok(row.rev >= (this.#shown.get(key) ?? 0), `${id}: ${seq} went back`);
          this.#shown.set(key, row.rev);
        }
      }
      if (window.tail && !window.midway) {
        assert.ok(window.last.hi >= at.length, `${id}: the newest message is missing`);
      }
    }
  }

  #equal(): void {
    const { device, twin } = this;
    const named = [...device.conversations.values()].filter((held) => held.line).map((held) => held.id);
    assert.deepEqual(named.sort(), [...twin.conversations.keys()].sort(), 'the list');
    const behind = [...device.conversations.values()]
      .filter((held) => !held.level)
      .map(({ id, window }) => [id, window?.meta()]);
    assert.equal(
      device.level,
      true,
      `not level: ${JSON.stringify(behind)}, sends under way: ${device.outbox.underWay}`,
    );
    for (const theirs of twin.conversations.values()) {
      const held = device.conversations.get(theirs.id);
      assert.equal(held?.history, String(theirs.history), `${theirs.id}: history`);
      assert.equal(held?.heard, theirs.rev, `${theirs.id}: rev heard of`);
      const stored = this.kept.read(theirs.id);
      const asleep = stored?.conversation.window && Window.restore(stored.conversation.window, stored.rows);
      for (const window of [held?.window, asleep]) {
        if (window) {
          this.#same(theirs.id, window);
        }
      }
      assert.equal(held?.window === undefined && held?.open === true, false, `${theirs.id}: looked at and not loaded`);
      assert.deepEqual(
        held?.line?.state.lastMessage,
        theirs.rows[theirs.rows.length - 1],
        `${theirs.id}: the last message`,
      );
      const ids = theirs.rows.flatMap(({ client_id }) => (client_id == null ? [] : [Number(client_id)]));
      assert.equal(new Set(ids).size, ids.length, `${theirs.id}: doubled`);
      if (!twin.torn.has(theirs.id)) {
        // What was lost there may be said again by a tab that had not stored that it was through.
        assert.deepEqual(
          ids,
          [...ids].sort((a, b) => a - b),
          `${theirs.id}: overtaken`,
        );
      }
    }
  }

  #same(id: string, window: Window): void {
    const theirs = this.twin.conversation(id);
    assert.equal(window.rev, theirs.rev, `${id}: own rev`);
    for (const { lo, hi } of window.intervals) {
      for (let seq = lo; seq <= hi; seq += 1) {
        assert.deepEqual(window.row(seq), theirs.rows[seq - 1], `${id}: message ${seq}`);
      }
    }
    if (window.tail) {
      assert.equal(window.last.hi, theirs.rows.length, `${id}: the newest message`);
    }
  }
}

test(`${SEEDS.length} schedules of ${STEPS} steps`, () => {
  for (const seed of SEEDS) {
    const schedule = new Schedule(seed);
    try {
      for (let at = 0; at < STEPS; at += 1) {
        schedule.step();
      }
      schedule.quiet();
    } catch (error) {
      const story = schedule.story.slice(-30).join('\n  ');
      assert.fail(`SEED=${seed} after\n  ${story}\n${error instanceof Error ? error.stack : error}`);
    }
  }
});
