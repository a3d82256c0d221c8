/**
 * Puts the firmware where builds and checkouts look for it: `node src-main/appliance/place-firmware.ts resources/firmware [cache folder]`.
 * Does nothing where it is there already.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { asAppError } from '../../src-shared/errors/app-error.ts'
import { findFirmware, obtainFirmware } from './firmware.ts'

/**
 * Makes `target` hold bios.bin, vgabios-stdvga.bin and their record. Answers whether anything had to be done.
 * @param cacheFolder kept between runs; without it a temporary one is used
 */
export async function placeFirmware(target: string, cacheFolder?: string): Promise<boolean> {
  if (await findFirmware(target)) return false
  const cache = cacheFolder ?? (await mkdtemp(join(tmpdir(), 'coppice-firmware-')))
  try {
    await obtainFirmware({ cacheFolder: cache, onProgress: () => {} })
    await cp(join(cache, 'firmware'), target, { recursive: true })
  } finally {
    if (cacheFolder === undefined) await rm(cache, { recursive: true, force: true })
  }
  return true
}

if (import.meta.main) {
  const [target, cacheFolder] = process.argv.slice(2)
  if (target === undefined) {
    console.error('usage: place-firmware.ts FOLDER [CACHE]')
    process.exit(2)
  }
  try {
    const placed = await placeFirmware(resolve(target), cacheFolder)
    console.log(placed ? `Firmware placed into ${target}.` : `Firmware is in ${target}.`)
  } catch (error) {
    console.error(asAppError(error, 'Placing the firmware').message)
    process.exit(1)
  }
}
