// The guide's page for JavaScript works as it stands: its blocks are one program, run by Node itself
// with the package as it is built.

import { equal } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Server } from '../support/server.ts';

const BLOCK = /^```js\n([\s\S]*?)^```$/gm;

test('the page of the guide is a program that works', { timeout: 60_000 }, async () => {
  const page = await readFile(join('..', '..', 'docs', 'guide', 'javascript.md'), 'utf8');
  const program = [...page.matchAll(BLOCK)].map(([, block]) => block).join('');
  // Inside the package, so that it finds the package by its name.
  const folder = await mkdtemp(join(process.cwd(), '.test-guide-'));
  const server = await Server.start();
  try {
    const file = join(folder, 'page.mjs');
    await writeFile(file, program);
    const old = Number(process.versions.node.split('.')[0]) < 22;
    const flags = old ? ['--no-warnings', '--experimental-websocket'] : [];
    const env = { ...process.env, URL: server.url };
    const child = spawn(process.execPath, [...flags, file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let complained = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complained += chunk.toString();
    });
    const code = await new Promise((done) => child.on('close', done));
    equal(complained, '');
    equal(code, 0);
    equal(said, "1\n1: Lunch at noon?\n[ 'Hiking', 'direct' ]\n");
  } finally {
    await server.remove();
    await rm(folder, { recursive: true, force: true });
  }
});
