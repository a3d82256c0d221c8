/** The calling side of the local socket: find the host of a library, connect, start one where none runs. */
import { spawn } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { system } from '../../../src-shared/api/system.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { version } from '../paths.ts'
import { findHost, whenNoneEnds, type HostRecord, type Waiting } from './claim.ts'
import { HEADLESS_COMMAND, type HeadlessReport } from './headless-report.ts'
import { runtimeFolderFor } from './runtime-folder.ts'
import { socketWire } from './socket-wire.ts'

/** How long a host may take from its start to its first answer. */
export const START_LIMIT_MS = 30_000
/** How long a host that runs may take to answer. */
const ANSWER_LIMIT_MS = 10_000
/** A host that ends while we connect is looked for again this many times. */
const ATTEMPTS = 5
const LOG_TAIL_BYTES = 2000

export interface ConnectOptions {
  /** Connect to a host of another version, and to one that is ending, too (to quit it). */
  anyVersion?: boolean
  /** Called with a sentence where a host that is ending is waited for. */
  waiting?: Waiting
}

/**
 * Connects to the host that runs for `library`; one that is ending is waited for.
 * @throws AppError `not-found` where none runs, `wrong-state` where it is of another version, `timeout` where it does not answer
 */
export async function connectLocal(library: string, options: ConnectOptions = {}): Promise<RpcClient> {
  for (let attempt = 1; ; attempt++) {
    if (!options.anyVersion) await whenNoneEnds(library, options.waiting)
    const record = await findHost(library)
    if (!record) throw new AppError('not-found', `No Coppice runs for the library ${library}.`, { subject: library })
    if (record.version !== version && !options.anyVersion) throw otherVersion(record)
    try {
      return await dial(record)
    } catch (error) {
      const known = asAppError(error, 'Connecting to Coppice')
      // It ended between being found and answering.
      if (known.code !== 'disconnected' || attempt === ATTEMPTS) throw known
    }
  }
}

/**
 * Connects to the host of `library`, after starting a headless one where none runs: a process of its own that outlives this one.
 * @throws AppError as connectLocal, and `crashed` (with the tail of its log) where the started host ended, `timeout` where it never answered
 */
export async function ensureHost(library: string, options: { start: boolean; waiting?: Waiting }): Promise<RpcClient> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connectLocal(library, options)
    } catch (error) {
      if (!options.start || !(error instanceof AppError) || error.code !== 'not-found' || attempt === ATTEMPTS) throw error
    }
    await startHeadless(library)
  }
}

async function dial(record: HostRecord & { socket: string }): Promise<RpcClient> {
  const socket = connect(record.socket)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error) => reject(new AppError('disconnected', 'The connection to Coppice was lost.', {}, error)))
  })
  const client = new RpcClient(socketWire(socket))
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MS)
  try {
    await client.service(system).info({}, { signal: limit })
    return client
  } catch (error) {
    client.dispose()
    if (limit.aborted)
      throw new AppError('timeout', `Coppice (process ${record.pid}) does not answer. End that process and try again.`, {}, error)
    throw error
  }
}

function otherVersion(record: HostRecord): AppError {
  return new AppError(
    'wrong-state',
    `Coppice ${record.version} runs for this library (process ${record.pid}), and this is ${version}. End it with “coppice quit”, then try again.`,
  )
}

/** The command line's entry, which also is the headless host's: in the sources, or built beside this file. */
function entry(): string {
  const fromSource = import.meta.url.endsWith('.ts')
  return fileURLToPath(new URL(fromSource ? '../cli/main.ts' : './cli.js', import.meta.url))
}

/** Resolves when a host serves `library`: the one started here, or one that was quicker. */
async function startHeadless(library: string): Promise<void> {
  const folder = await runtimeFolderFor(library)
  const logPath = join(folder, `start-${process.pid}.log`)
  const log = await open(logPath, 'w', 0o600)
  // The flags that this process was given for its engines' threads are its child's as well (bin/setup/node-flags.mjs).
  const flags = process.execArgv.filter((flag) => flag === '--no-memory-protection-keys')
  const child = spawn(process.execPath, [...flags, entry(), HEADLESS_COMMAND, '--library', library], {
    detached: true,
    windowsHide: true,
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    // In Electron the executable is Node only when it is told so.
    env: process.versions['electron'] ? { ...process.env, ELECTRON_RUN_AS_NODE: '1' } : process.env,
  })
  try {
    const limit = AbortSignal.timeout(START_LIMIT_MS)
    const report = await new Promise<HeadlessReport>((resolve, reject) => {
      child.once('message', (message) => resolve(message as HeadlessReport))
      child.once('error', (error) => reject(new AppError('crashed', `Coppice’s host could not be started: ${error.message}.`, {}, error)))
      child.once('exit', (code, signal) => {
        reject(new AppError('crashed', `Coppice’s host ended while it started (${signal ?? `exit code ${code}`}).`))
      })
      limit.addEventListener('abort', () => {
        reject(new AppError('timeout', `Coppice’s host did not answer within ${START_LIMIT_MS / 1000} s of its start.`))
      })
    })
    if (report.kind === 'failed') throw AppError.fromWire(report.error)
  } catch (error) {
    child.kill()
    const known = asAppError(error, 'Starting Coppice’s host')
    const tail = (await readFile(logPath, 'utf8').catch(() => '')).slice(-LOG_TAIL_BYTES).trim()
    if (tail === '') throw known
    throw new AppError(known.code, `${known.message} It said: ${lastLine(tail)}`, { ...known.details, technical: tail }, error)
  } finally {
    if (child.connected) child.disconnect()
    child.unref()
    await log.close()
    // The host that runs keeps writing to its open file; only its name goes.
    await rm(logPath, { force: true }).catch(() => {})
  }
}

function lastLine(text: string): string {
  const line = text.split('\n').at(-1)!.trim()
  return line.length > 300 ? `${line.slice(0, 299)}…` : line
}
