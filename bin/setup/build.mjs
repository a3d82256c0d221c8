/** Builds out/ when a source changed since the last build. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { nodeBinary } from './packages.mjs'
import { run, say, tail } from './say.mjs'
import { hashOf, readStamp, removeStamp, writeStamp } from './stamps.mjs'

const SOURCES = ['electron.config.ts', 'package-lock.json', 'src-main', 'src-renderer', 'src-shared']

/** @throws Error with a sentence and the compiler's words */
export async function build(root) {
  const stampFile = path.join(root, 'out/build.json')
  const sources = hashOf(root, SOURCES)
  if (readStamp(stampFile)?.sources === sources && existsSync(path.join(root, 'out/main/start.js'))) return
  say('Building.')
  removeStamp(stampFile)
  const script = path.join(root, 'node_modules/electron-vite/bin/electron-vite.js')
  const built = await run(nodeBinary(root), [script, 'build', '--config', 'electron.config.ts', '--logLevel', 'warn'], {
    cwd: root,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  if (!built.ok) throw new Error(`The build failed.\n${tail(built.output, 40)}`)
  writeStamp(stampFile, { sources })
}
