/** Electron's binary: its package fetches it on request. One try with a time limit; a failure is remembered for a day. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { nodeBinary } from './packages.mjs'
import { run, say } from './say.mjs'
import { readStamp, writeStamp } from './stamps.mjs'

const DAY_MS = 24 * 60 * 60 * 1000
const LIMIT_MS = 90_000

/** The path of Electron's binary, or null where it was not fetched. */
export function electronBinary(root) {
  const folder = path.join(root, 'node_modules/electron')
  try {
    const binary = path.join(
      process.env.ELECTRON_OVERRIDE_DIST_PATH ?? path.join(folder, 'dist'),
      readFileSync(path.join(folder, 'path.txt'), 'utf8').trim(),
    )
    return existsSync(binary) ? binary : null
  } catch {
    return null
  }
}

/** @returns {Promise<string | null>} the binary's path; null where it cannot be had today */
export async function fetchElectron(root) {
  const present = electronBinary(root)
  if (present) return present
  const failure = path.join(root, 'node_modules/.cache/coppice/electron-failed.json')
  if (Date.now() - (readStamp(failure)?.at ?? 0) < DAY_MS) return null
  say(`Fetching Electron (at most ${LIMIT_MS / 1000} s).`)
  await run(nodeBinary(root), ['node_modules/electron/install.js'], { cwd: root, limitMs: LIMIT_MS })
  const fetched = electronBinary(root)
  if (!fetched) {
    writeStamp(failure, { at: Date.now() })
    say('Electron could not be fetched; a browser shows the window instead. Next try in a day, or: npx install-electron')
  }
  return fetched
}
