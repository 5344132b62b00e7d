// Takes one rule of the device away at a time and expects a unit test to fail.
// `npm run mutants`, or with names for some. Not in the list is what two rules guard at once: the
// heartbeat heals a lost `sync_required`, and answers are known by their ids also when not cancelled.

import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Name: what is taken away, the file, what stands there, what stands there instead. */
const MUTANTS = {
  jump: ['events are applied over a jump', 'window.ts', 'rev === this.rev + 1 &&', 'rev > this.rev &&'],
  merge: [
    'rows are taken without comparing their rev',
    'window.ts',
    'if (held && held.rev >= row.rev) {',
    'if (false) {',
  ],
  pageOld: ['an older page is shown at once', 'window.ts', 'if (page.rev < this.rev) {', 'if (false) {'],
  once: ['... after one answer', 'window.ts', 'if (this.held && this.held.rev >= this.rev) {', 'if (this.held) {'],
  more: ['`more` is not followed', 'window.ts', 'this.midway = answer.more;', 'this.midway = false;'],
  tail: [
    'a page above a gap passes for the newest',
    'window.ts',
    'page.tail || (this.tail && page.lo <= last.hi + 1)',
    'true',
  ],
  unknown: ['an unknown event passes for applied', 'window.ts', "return change.kind !== 'unknown';", 'return true;'],
  history: [
    'another history is not noticed',
    'conversation.ts',
    'return this.history === undefined || this.history === history;',
    'return true;',
  ],
  forget: [
    'what was heard before the first page is forgotten',
    'conversation.ts',
    'this.heard = Math.max(this.heard, answer.rev);\n      this.#wantMembers',
    'this.heard = answer.rev;\n      this.#wantMembers',
  ],
  refusal: ['a late refusal counts', 'conversation.ts', ' && this.heard > heard)', ' && false)'],
  heartbeat: [
    'the heartbeat asks for nothing',
    'frames.ts',
    'device.listing.due ||= user_rev > device.listing.userRev;',
    'void user_rev;',
  ],
  chain: [
    'a reset in the middle keeps what was named',
    'listing.ts',
    '(!answer.reset && this.#chain) ||',
    'this.#chain ??',
  ],
  gate: ['a refused send is overtaken', 'outbox.ts', "queue.gate = { state: 'waiting', attempt };", ''],
  fresh: [
    'what storage had of an older window stays',
    'device.ts',
    'if (held.erase || window?.fresh) {',
    'if (false) {',
  ],
  whole: ['rows with a hole are taken back', 'window.ts', 'return undefined;', 'break;'],
};

const wanted = process.argv.slice(2);
const folder = await mkdtemp(join(process.cwd(), 'node_modules', '.mutant-'));
let survived = 0;
for (const part of ['src', 'test', 'tools', 'package.json']) {
  await cp(part, join(folder, part), { recursive: true });
}
for (const [name, [what, file, before, after]] of Object.entries(MUTANTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) {
    continue;
  }
  const path = join('src', 'device', file);
  const text = await readFile(path, 'utf8');
  if (!text.includes(before)) {
    throw new Error(`${name}: ${file} has changed; write the mutant anew`);
  }
  await writeFile(join(folder, path), text.replace(before, after));
  const run = spawnSync(process.execPath, ['tools/test.mjs', 'unit'], { cwd: folder, timeout: 300_000 });
  await writeFile(join(folder, path), text);
  const killed = run.status !== 0;
  survived += killed ? 0 : 1;
  process.stdout.write(`${killed ? 'killed  ' : 'SURVIVED'}  ${name}: ${what}\n`);
}
await rm(folder, { recursive: true, force: true });
process.exitCode = survived === 0 ? 0 : 1;
