/**
 * The private folder of one running machine, `<runtime>/coppice/vm-<8 digits>/`: its sockets, and the record by which a later host finds it
 * again. The folder lives as long as its QEMU does.
 *
 *   starting.json  who starts it (half-started.ts); appears before anything of it runs
 *   machine.json   the record; appears when the process runs, whole (write-file-atomic.ts)
 *   ran            there while it stands still only because a host takes it over
 *   qmp, tools, serial<N>, nic<N>, display, agent, coppice, tpm   QEMU's sockets
 *   memory         a socket, while memory is saved or loaded
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MiB } from '../../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { machineSpecSchema } from '../../../../src-shared/model/machine-spec.ts'
import { writeFileAtomic } from '../../../files/write-file-atomic.ts'
import { MACHINE_FOLDER_PREFIX } from '../../../process/machine-folders.ts'
import { processStart } from '../../../process/process-start.ts'
import { privateFolder, type RuntimePlaces } from '../../../process/private-folder.ts'

/** The longest name of a socket in it, bytes. */
const SOCKET_NAME_BYTES = 8
const RECORD = 'machine.json'
const RAN = 'ran'
const MAX_RECORD = 1 * MiB

export const endpointSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unix'), path: z.string() }),
  z.strictObject({ kind: z.literal('inet'), port: z.number().int().min(1).max(65535) }),
])
const recordSchema = z.strictObject({
  format: z.literal(1),
  pid: z.number().int().min(2),
  /** When that process started (process-start.ts). */
  start: z.string(),
  /** ISO 8601: when the machine was made. */
  startedAt: z.string(),
  spec: machineSpecSchema,
  /** Where it listens (arguments/runtime.ts). */
  runtime: z.object({
    qmp: endpointSchema,
    tools: endpointSchema,
    serial: z.array(z.strictObject({ endpoint: endpointSchema, log: z.string().nullable() })),
    nics: z.record(z.string(), endpointSchema),
    display: endpointSchema.nullable(),
    guestAgent: endpointSchema,
    coppiceAgent: endpointSchema,
  }),
  /** Where in each serial port's log this life begins, bytes. */
  logStarts: z.array(z.number().int().nonnegative()),
})
export type MachineRecord = z.output<typeof recordSchema>

/** @throws AppError where no private place for it can be had */
export async function makeMachineFolder(places: RuntimePlaces = {}): Promise<string> {
  const digits = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(16).padStart(8, '0')
  return privateFolder(`${MACHINE_FOLDER_PREFIX}${digits}`, SOCKET_NAME_BYTES, places)
}

export async function writeRecord(folder: string, record: MachineRecord): Promise<void> {
  await writeFileAtomic(join(folder, RECORD), JSON.stringify(record))
}

/** Null where there is none, or none that can be understood. */
export async function readRecord(folder: string): Promise<MachineRecord | null> {
  try {
    const path = join(folder, RECORD)
    if ((await stat(path)).size > MAX_RECORD) return null
    const parsed = recordSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** The machine runs, and goes on running when it was taken over: by whoever does that in the end. To be called before it is stopped for it. */
export async function noteRan(folder: string): Promise<void> {
  try {
    await writeFile(join(folder, RAN), '', { mode: 0o600 })
  } catch (error) {
    throw asAppError(error, 'Noting a machine that is taken over')
  }
}

/** An earlier host ended while it took it over. */
export async function ranUntilTaken(folder: string): Promise<boolean> {
  return stat(join(folder, RAN)).then(
    () => true,
    () => false,
  )
}

/** To be called when it runs again. */
export async function forgetRan(folder: string): Promise<void> {
  await rm(join(folder, RAN), { force: true }).catch(() => {})
}

export async function removeMachineFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) => {
    throw error instanceof AppError ? error : asAppError(error, 'Removing the folder of a machine that ended')
  })
}

/** QEMU's own note of its process (-pidfile). A record that is not understood may be one of a newer Coppice. */
export async function mayLive(folder: string): Promise<boolean> {
  const pid = Number.parseInt(await readFile(join(folder, 'pid'), 'utf8').catch(() => ''))
  return pid > 1 && (await processStart(pid)) !== null
}
