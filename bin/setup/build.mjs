/** Builds out/ when a source changed since the last build. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { nodeBinary } from './packages.mjs'
import { run, say, tail } from './say.mjs'
import { hashOf, readStamp, removeStamp, writeStamp } from './stamps.mjs'

const SOURCES = ['electron.config.ts', 'package-lock.json', 'src-main', 'src-renderer', 'src-shared']
const LOCK_CHECK_MS = 200

/** @throws Error with a sentence and the compiler's words */
export async function build(root) {
  const stampFile = path.join(root, 'out/build.json')
  const isCurrent = (sources) => readStamp(stampFile)?.sources === sources && existsSync(path.join(root, 'out/main/start.js'))
  if (isCurrent(hashOf(root, SOURCES))) return
  const unlock = await lock(path.join(root, 'node_modules/.cache/coppice/building'))
  try {
    const sources = hashOf(root, SOURCES)
    if (isCurrent(sources)) return
    say('Building.')
    removeStamp(stampFile)
    const script = path.join(root, 'node_modules/electron-vite/bin/electron-vite.js')
    const built = await run(nodeBinary(root), [script, 'build', '--config', 'electron.config.ts', '--logLevel', 'warn'], {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'production' },
    })
    if (!built.ok) throw new Error(`The build failed.\n${tail(built.output, 40)}`)
    writeStamp(stampFile, { sources })
  } finally {
    unlock()
  }
}

/** Two builds at a time would mix their files: the second waits for the first. The lock of a process that is gone counts for nothing. */
async function lock(file) {
  mkdirSync(path.dirname(file), { recursive: true })
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (!isAlive(file)) rmSync(file, { force: true })
    else await new Promise((resolve) => setTimeout(resolve, LOCK_CHECK_MS))
  }
}

function isAlive(file) {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
