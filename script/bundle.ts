/**
 * src/ → dist/: each command and each process of its own is one entry, what they share lies in
 * dist/chunks, with the packages that every start needs. Loading hundreds of small modules took
 * longer than most commands work. `base/module-file.ts` relies on this layout.
 */
import { globSync } from 'node:fs'
import { build } from 'esbuild'

const entries = [
  ...globSync('src/commands/**/*.ts'),
  ...globSync('src/cli/{command-not-found,execute}.ts'),
  ...globSync('src/daemon/*-main.ts'),
  'src/map/threads/build-thread.ts',
]

await build({
  entryPoints: entries,
  outbase: 'src',
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Loaded by few commands, and large: they stay where npm puts them.
  external: ['ldapts', 'mysql2', 'nodemailer', 'pg', 'pg-cursor'],
  // Packages in CommonJS call for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'\nconst require = requireOf(import.meta.url)",
  },
  logLevel: 'warning',
})
