// Fails when the built client is larger than promised.

import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const MOST_BYTES = 15_000;

const bytes = gzipSync(await readFile('dist/index.js'), { level: 9 }).length;
process.stdout.write(`dist/index.js: ${bytes} bytes gzip, at most ${MOST_BYTES}\n`);
process.exitCode = bytes > MOST_BYTES ? 1 : 0;
