/**
 * What programs answered and accelerators did, kept in the cache folder so that nothing is run twice. An entry holds for one file (path, size,
 * time of change) on one computer (kernel, processor). The folder may be lost at any time; what cannot be read counts as not there.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { qemuProgramSchema } from '../../../../src-shared/model/engine-facts.ts'
import { ACCELERATORS, type Accelerator } from '../../../../src-shared/model/machine-spec.ts'
import type { Arch } from '../../../../src-shared/model/machine.ts'
import { MiB } from '../../../../src-shared/base/units.ts'
import { writeFileAtomic } from '../../../files/write-file-atomic.ts'
import type { Computer, FileFacts } from './computer.ts'

const MAX_BYTES = 8 * MiB
const MAX_ENTRIES = 20
/** Raised when programs are asked, or accelerators tried, in another way. */
const VERSION = 3
/** ms for which an accelerator that does not work is not tried again: what is in its way may be gone without any file having changed. */
export const BAD_NEWS_HOLDS = 60 * 60 * 1000

const probeResultSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('works'), ms: z.number() }),
  z.strictObject({ kind: z.literal('slow'), ms: z.number() }),
  z.strictObject({ kind: z.literal('fails'), message: z.string().max(1000) }),
])
const evidenceSchema = z.strictObject({
  virtualization: z.boolean().nullable(),
  underHypervisor: z.boolean().nullable(),
})
const probeRecordSchema = z.strictObject({
  /** When it was tried, ms since 1970. */
  at: z.number(),
  result: probeResultSchema,
  /** Null where it works. */
  evidence: evidenceSchema.nullable(),
})
export type ProbeRecord = z.output<typeof probeRecordSchema>
const entrySchema = z.strictObject({
  key: z.string(),
  program: qemuProgramSchema,
  accelerators: z.array(z.enum(ACCELERATORS)),
  probes: z.partialRecord(z.enum(ACCELERATORS), probeRecordSchema),
})
const cacheSchema = z.strictObject({
  version: z.literal(VERSION),
  computer: z.string(),
  entries: z.array(entrySchema).max(MAX_ENTRIES),
})
export type CacheEntry = z.output<typeof entrySchema>

export function entryKey(path: string, arch: Arch, { bytes, modified }: FileFacts): string {
  return JSON.stringify([path, arch, bytes, modified])
}

function fileIn(cacheFolder: string): string {
  return join(cacheFolder, 'qemu.json')
}

/** By key; empty where the cache is absent, damaged, of another version or of another computer. */
export async function readCache(cacheFolder: string, { id, files }: Pick<Computer, 'id' | 'files'>): Promise<Map<string, CacheEntry>> {
  const text = await files.read(fileIn(cacheFolder), MAX_BYTES)
  if (text === null) return new Map()
  try {
    const cache = cacheSchema.parse(JSON.parse(text))
    return new Map(cache.computer === id ? cache.entries.map((entry) => [entry.key, entry]) : [])
  } catch {
    return new Map()
  }
}

/** Never rejects. */
export async function writeCache(cacheFolder: string, computer: string, entries: readonly CacheEntry[]): Promise<void> {
  const cache: z.input<typeof cacheSchema> = { version: VERSION, computer, entries: entries.slice(0, MAX_ENTRIES) }
  try {
    await mkdir(cacheFolder, { recursive: true })
    await writeFileAtomic(fileIn(cacheFolder), JSON.stringify(cache))
  } catch {
    // The next search does everything again.
  }
}

/** Good news hold as long as program and computer stay the same. */
export function heldProbe({ probes }: CacheEntry, accelerator: Accelerator, now: number): ProbeRecord | null {
  const probe = probes[accelerator]
  if (!probe) return null
  const age = now - probe.at
  return probe.result.kind === 'works' || (age >= 0 && age < BAD_NEWS_HOLDS) ? probe : null
}
