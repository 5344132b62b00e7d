// Random people on random networks against the real server: in the end every device has what the
// server has. `SEED=7 STEPS=20000` walks one seed, as long as one likes.

import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IndexedDbStorage } from '../../src/index.ts';
import { Chance } from '../support/chance.ts';
import type { Faults } from '../support/faults.ts';
import { Server } from '../support/server.ts';
import { step } from './steps.ts';
import { inMemory, type Kept, World } from './world.ts';

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : [1, 2];
const STEPS = Number(process.env.STEPS ?? 1_200);
/** On a busy machine a walk of nobody's own choice ends earlier. */
const LIMIT_MS = process.env.STEPS ? Number.POSITIVE_INFINITY : 12_000;
/** Steps between two looks at everything. */
const LEG = 200;
/** One walk in so many steps ends the server and starts it again. */
const RESTART_EVERY = 300;
const STORM: Faults = { call: 0.06, event: 0.03, ack: 0.01, cut: 0.004, delayMs: 12 };
const LAST_STEPS = 40;

let server: Server;

before(async () => {
  server = await Server.start();
});

after(() => server.remove());

const indexedDb: Kept = (account) => new IndexedDbStorage(account);

for (const seed of SEEDS) {
  const keep = seed % 2 === 0 ? inMemory : indexedDb;
  test(`seed ${seed}: every device comes to what the server has`, async () => {
    const chance = new Chance(seed);
    const world = await World.begin(server, chance, STORM, keep);
    const last: string[] = [];
    const end = Date.now() + LIMIT_MS;
    try {
      for (let at = 1; at <= STEPS; at += 1) {
        last.push(await step(world));
        if (at % RESTART_EVERY === 0) {
          last.push('the server is killed');
          await server.end(chance.often(0.5) ? 'SIGKILL' : 'SIGTERM');
          await server.run();
        }
        if (at % LEG === 0 || at === STEPS) {
          await world.check();
          if (Date.now() > end) {
            break;
          }
          world.storm();
        }
      }
    } catch (error) {
      const story = last.slice(-LAST_STEPS).join('\n  ');
      assert.fail(`SEED=${seed} STEPS=${STEPS} after\n  ${story}\n${inspect(error)}`);
    } finally {
      await world.end();
    }
  });
}

function inspect(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    parts.push(at.stack ?? at.message);
  }
  return parts.join('\ncaused by ');
}
