/** Puts the BIOS into resources/firmware. A failure ends nothing: the host looks again, and says so, when a machine needs it. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { nodeBinary } from './packages.mjs'
import { run, say, tail } from './say.mjs'
import { readStamp, writeStamp } from './stamps.mjs'

const DAY_MS = 24 * 60 * 60 * 1000
/** apt has to ask a mirror; a mirror that does not answer must not hold the start up for long. */
const LIMIT_MS = 60_000

export async function placeFirmware(root) {
  const folder = path.join(root, 'resources/firmware')
  if (['bios.bin', 'vgabios-stdvga.bin'].every((file) => existsSync(path.join(folder, file)))) return
  const failure = path.join(root, 'node_modules/.cache/coppice/firmware-failed.json')
  if (Date.now() - (readStamp(failure)?.at ?? 0) < DAY_MS) return
  say('Fetching the BIOS from Debian’s packages.')
  const placed = await run(nodeBinary(root), ['src-main/appliance/place-firmware.ts', folder], { cwd: root, limitMs: LIMIT_MS })
  if (placed.ok) return
  writeStamp(failure, { at: Date.now() })
  const why = placed.timedOut ? 'no answer in time' : tail(placed.output, 2)
  say(`The BIOS files are not placed yet (${why}). Machines that need them will say so; Doctor tells what to do.`)
}
