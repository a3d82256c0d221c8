/** The BIOS files that machines boot with: SeaBIOS as Debian packages it. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Firmware } from '../../src-shared/threads/appliance-thread.ts'
import { collect, readDeb } from './deb.ts'
import { isIntact, placeFolder, withWorkFolder, writeDurably, type FileRecord } from './files.ts'
import { obtainPackages } from './packages.ts'

export interface FirmwareRequest {
  cacheFolder: string
  onProgress(step: string, done: number, total: number): void
  signal?: AbortSignal
}

const BIOS = 'bios.bin'
const VGA_BIOS = 'vgabios-stdvga.bin'
const RECORD = 'firmware.json'
const TOTAL = 100

const file = z.strictObject({ name: z.enum([BIOS, VGA_BIOS]), size: z.number().int().min(1), sha256: z.string() })
const recordSchema = z.strictObject({ version: z.string(), files: z.array(file).length(2) })
type FirmwareRecord = z.output<typeof recordSchema>

/** The firmware in `folder`, or null where it is not there or not what its record says. */
export async function findFirmware(folder: string): Promise<Firmware | null> {
  let record: FirmwareRecord
  try {
    record = recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD), 'utf8')))
  } catch {
    return null
  }
  for (const one of record.files) if (!(await isIntact(folder, one))) return null
  return { bios: join(folder, BIOS), vgaBios: join(folder, VGA_BIOS), version: record.version }
}

/** From `<cacheFolder>/firmware`, else fetched from the seabios package into it. */
export async function obtainFirmware({ cacheFolder, onProgress, signal }: FirmwareRequest): Promise<Firmware> {
  const folder = join(cacheFolder, 'firmware')
  const cached = await findFirmware(folder)
  if (cached) return cached
  const options = signal ? { signal } : {}
  const [seabios] = await obtainPackages({
    cacheFolder,
    set: 'firmware',
    // The package is the same for every processor; this one's lists are the shortest.
    arch: 'i386',
    names: ['seabios'],
    onProgress: (step, fraction) => onProgress(step, Math.round(fraction * (TOTAL - 1)), TOTAL),
    ...options,
  })
  const found = new Map<string, Uint8Array>()
  await readDeb(seabios!.path, {
    onEntry(entry) {
      const name = /^\.\/usr\/share\/seabios\/([^/]+)$/.exec(entry.name)?.[1]
      if (entry.type !== 'file' || (name !== BIOS && name !== VGA_BIOS)) return null
      return collect(entry, (data) => found.set(name, data))
    },
    ...options,
  })
  return withWorkFolder(cacheFolder, async (work) => {
    const fresh = join(work, 'firmware')
    await mkdir(fresh)
    const files: FileRecord[] = []
    for (const name of [BIOS, VGA_BIOS]) {
      const data = found.get(name)
      if (!data) throw new AppError('corrupt', `The package ${seabios!.path} has no ${name} in it.`, { subject: seabios!.path })
      files.push(await writeDurably(fresh, name, data))
    }
    await writeDurably(fresh, RECORD, JSON.stringify({ version: seabios!.version, files }, null, 2))
    await placeFolder(fresh, folder)
    onProgress('The firmware is ready', TOTAL, TOTAL)
    return (await findFirmware(folder))!
  })
}
