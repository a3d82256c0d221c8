/** Small notes between runs: what was done for which inputs, so that a second start does nothing. All in node_modules/.cache and out/. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Hash of files and folders (recursively) by name and content; what does not exist counts as absent. */
export function hashOf(root, entries) {
  const hash = createHash('sha256')
  const add = (relative) => {
    const file = path.join(root, relative)
    const info = statSync(file, { throwIfNoEntry: false })
    if (!info) return
    if (info.isDirectory()) {
      for (const name of readdirSync(file).sort()) add(`${relative}/${name}`)
      return
    }
    hash.update(`${relative}\0${info.size}\0`)
    hash.update(readFileSync(file))
  }
  for (const entry of entries) add(entry)
  return hash.digest('hex')
}

/** @returns {any} the note, or null when there is none that can be read */
export function readStamp(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

export function writeStamp(file, value) {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(value))
}

export function removeStamp(file) {
  rmSync(file, { force: true })
}
