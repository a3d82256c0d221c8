/**
 * Machines whose host, or whose supervising thread, died while it started them. Theory of operation: before the first process is started, the machine's folder gets a note of
 * who starts it and where it will listen. With the record (machine-folder.ts), which follows when the process runs, the note means
 * nothing any more. Where a host finds a note without a record and its writer is dead, what was started is reached where it listens, and
 * ended: no guest has executed yet, so that nothing is lost.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import { z } from 'zod'
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import { isSameProcess, ownStart } from '../../../process/process-start.ts'
import type { Endpoint, QemuRuntime } from '../arguments/runtime.ts'
import { QmpClient } from '../qmp/qmp-client.ts'
import { connectOnce, connectWhenReady } from './endpoint.ts'
import { endpointSchema, mayLive } from './machine-folder.ts'

const NOTE = 'starting.json'
const noteSchema = z.strictObject({
  format: z.literal(1),
  /** Its process, and which of its threads. */
  host: z.strictObject({ pid: z.number().int().min(1), start: z.string(), thread: z.number().int().min(0) }),
  qmp: endpointSchema,
  tpm: endpointSchema.nullable(),
})
type Note = z.output<typeof noteSchema>

/** ms that a QEMU gets until it listens: its host may have died just when it was made. */
const START_PATIENCE = 2000
/** ms between two looks whether it is gone. */
const LOOK = 10

export async function noteStart(folder: string, { qmp, tpm }: QemuRuntime): Promise<void> {
  const note: Note = { format: 1, host: { pid: process.pid, start: await ownStart(), thread: threadId }, qmp, tpm }
  try {
    await writeFile(join(folder, NOTE), JSON.stringify(note), { mode: 0o600 })
  } catch (error) {
    throw asAppError(error, 'Noting a machine that is started')
  }
}

/**
 * Ends what a dead host began in a folder without a record.
 * @returns whether there was a note of one that is dead; false also where another host is at it
 */
export async function endHalfStarted(folder: string): Promise<boolean> {
  const note = await readNote(folder)
  if (!note || (await isAtIt(note.host))) return false
  await quit(note.qmp)
  for (const until = performance.now() + START_PATIENCE; (await mayLive(folder)) && performance.now() < until;) await sleep(LOOK)
  // swtpm ends with its first connection, which would have been QEMU's.
  if (note.tpm) (await connectOnce(note.tpm).catch(() => null))?.destroy()
  return true
}

/** A host has one such thread at a time: in our own process, another one than this is dead. */
async function isAtIt({ pid, start, thread }: Note['host']): Promise<boolean> {
  return (await isSameProcess(pid, start)) && (pid !== process.pid || thread === threadId)
}

async function readNote(folder: string): Promise<Note | null> {
  try {
    const parsed = noteSchema.safeParse(JSON.parse(await readFile(join(folder, NOTE), 'utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

async function quit(endpoint: Endpoint): Promise<void> {
  const patience = AbortSignal.timeout(START_PATIENCE)
  try {
    const { client } = await QmpClient.open(await connectWhenReady(endpoint, patience), patience)
    try {
      await client.execute('quit', null, patience)
    } finally {
      client.dispose()
    }
  } catch {
    // Nothing listens there: it was not started, or has ended.
  }
}
