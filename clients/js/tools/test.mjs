// tools/test.mjs unit walk …  Bundles test/<name>/*.test.ts and runs them with Node's own
// runner.

import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const suites = process.argv.slice(2);
const entryPoints = [];
for (const suite of suites) {
  const files = await readdir(join('test', suite));
  entryPoints.push(...files.filter((file) => file.endsWith('.test.ts')).map((file) => join('test', suite, file)));
}
// Inside the package, so that the tests find what is installed.
const outdir = await mkdtemp(join(process.cwd(), '.test-'));
await build({
  entryPoints,
  outdir,
  outbase: 'test',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  outExtension: { '.js': '.mjs' },
  logLevel: 'warning',
});
const files = entryPoints.map((file) => join(outdir, file.replace(/^test\//, '').replace(/\.ts$/, '.mjs')));
const child = spawn(process.execPath, ['--enable-source-maps', '--test', ...files], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => child.kill(signal));
}
child.on('exit', async (code) => {
  await rm(outdir, { recursive: true, force: true });
  process.exitCode = code ?? 1;
});
