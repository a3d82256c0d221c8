/**
 * A running QEMU, started here or adopted. Theory of operation: a process that we started tells its end with its exit status. One that a host
 * before us started is no child of ours: its end shows as the end of its control connection, and its status stays unknown. Process
 * ids are used again, so that an adopted one is only touched while the time of its start is the one noted.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { toDisposable } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { processStart, UNKNOWN } from '../../../process/process-start.ts'
import { cleanEnvironment } from './environment.ts'
import { MessageTail } from './message-tail.ts'

export interface ProcessEnd {
  /** Null where a signal ended it, or where it is not known. */
  code: number | null
  signal: NodeJS.Signals | null
  /** False of an adopted process. */
  known: boolean
  /** The last that it said on its standard error. */
  messages: string
}

export interface QemuProcess extends Disposable {
  readonly pid: number
  /** As processStart gives it. */
  readonly start: string
  /** Resolves when it is gone. Never rejects. */
  readonly ended: Promise<ProcessEnd>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** The number that a file has in a program that inherits it: the first behind the standard streams. */
export const INHERITED_FILE = 3

/**
 * Starts a program without a shell, in a session of its own: it outlives this process.
 * @param inherited number of a file that is open here; the program has it as INHERITED_FILE
 * @throws AppError where it cannot be started
 */
export async function startProcess(
  program: string,
  args: readonly string[],
  folder: string,
  inherited: number | null = null,
): Promise<QemuProcess> {
  const child = spawn(program, args, {
    cwd: folder,
    detached: true,
    env: cleanEnvironment(process.env, process.platform),
    shell: false,
    // A pipe, not a file: a guest that makes QEMU complain fills no disk.
    stdio: ['ignore', 'ignore', 'pipe', ...(inherited === null ? [] : [inherited])],
    windowsHide: true,
  })
  const messages = new MessageTail()
  child.stderr!.on('data', (bytes: Uint8Array) => messages.append(bytes))
  const ended = endOf(child, messages)
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (error) => reject(cannotStart(program, error)))
  })
  const pid = child.pid!
  const start = (await processStart(pid)) ?? UNKNOWN
  const tracked = toDisposable(() => {
    child.stderr!.destroy()
    child.unref()
  })
  return {
    pid,
    start,
    ended,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    dispose: () => tracked.dispose(),
  }
}

/** 'close', not 'exit': by then all that it said is read. */
function endOf(child: ChildProcess, messages: MessageTail): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    const tell = (code: number | null, signal: NodeJS.Signals | null): void =>
      resolve({ code, signal, known: true, messages: messages.text() })
    child.once('close', tell)
    // Something that inherited its standard error could keep the pipe open.
    child.once('exit', (code, signal) => setTimeout(() => tell(code, signal), 100))
  })
}

function cannotStart(program: string, error: Error): AppError {
  const { code, message } = asAppError(error, `Starting ${program}`)
  return new AppError(code, message, { subject: program }, error)
}

/** ms between two looks at a process that is going, and how long it gets. */
const LOOK = 10
const PATIENCE = 3000

/** @param closed resolves when its control connection has ended */
export function adoptProcess(pid: number, start: string, closed: Promise<void>): QemuProcess {
  // Where nobody knows when it started, its number may be another's by now: it is not touched.
  const lives = async (): Promise<boolean> => start !== UNKNOWN && (await processStart(pid)) === start
  const gone = async (patience: number): Promise<boolean> => {
    const until = performance.now() + patience
    while (await lives()) {
      if (performance.now() > until) return false
      await sleep(LOOK)
    }
    return true
  }
  const kill = async (): Promise<void> => {
    if (await lives()) signal(pid, 'SIGKILL')
    await gone(Infinity)
  }
  const ended = closed.then(async (): Promise<ProcessEnd> => {
    // Without its control connection nobody can steer it any more.
    if (!(await gone(PATIENCE))) await kill()
    return { code: null, signal: null, known: false, messages: '' }
  })
  return { pid, start, ended, kill, dispose: () => {} }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Gone meanwhile.
  }
}
