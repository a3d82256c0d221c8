/**
 * Follows a command that runs in a guest to its end. The agent is asked again and again while the command runs, often while it prints and seldom
 * while it is silent: the protocol has no other way. An agent may give the output in pieces (ours does) or all at its end (qemu-guest-agent).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Event } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { ExecEnd } from '../../../src-shared/model/exec-frames.ts'
import type { AgentClient } from './agent-client.ts'

/** ms between two questions: after output, and at most. */
const OFTEN = 20
const SELDOM = 500
const SLOWER = 1.5
/** Questions whether a command that was killed has ended, some 7 s in all. */
const REAP_TRIES = 12
/** ms for the answer that has a command's whole output. */
const OUTPUT_TIME = 60_000

/** Who waits for a command. */
export interface CommandReader {
  /** The next output of one kind, not empty. The command is asked for more when it resolves. */
  take(kind: 'out' | 'err', bytes: Uint8Array): Promise<unknown>
  /** Nobody waits any more: the command is killed. */
  readonly closed: boolean
  readonly onClose: Event<unknown>
}

/**
 * @param pid as guest-exec gave it
 * @param limitMs after which it is killed
 * @returns null where its reader closed
 * @throws AppError `timeout`, and as AgentClient.call
 */
export async function followCommand(
  agent: AgentClient,
  pid: number,
  limitMs: number | null,
  reader: CommandReader,
): Promise<ExecEnd | null> {
  const until = limitMs === null ? Infinity : performance.now() + limitMs
  let pause = OFTEN
  for (;;) {
    const status = await agent.call('guest-exec-status', { pid }, OUTPUT_TIME)
    const [out, err] = [decode(status['out-data']), decode(status['err-data'])]
    if (out.length > 0 && !reader.closed) await reader.take('out', out)
    if (err.length > 0 && !reader.closed) await reader.take('err', err)
    if (status.exited) {
      const truncated = status['out-truncated'] === true || status['err-truncated'] === true
      return { exitCode: status.exitcode ?? null, signal: status.signal ?? null, truncated }
    }
    const now = performance.now()
    if (reader.closed || now >= until) {
      const ended = await kill(agent, pid)
      if (reader.closed) return null
      if (!ended)
        throw new AppError(
          'timeout',
          `The command did not end within ${limitMs! / 1000} s, and the guest’s agent could not kill it. It may still run.`,
        )
      throw new AppError('timeout', `The command did not end within ${limitMs! / 1000} s and was killed.`)
    }
    pause = out.length + err.length > 0 ? OFTEN : Math.min(pause * SLOWER, SELDOM)
    await wait(Math.min(pause, until - now), reader)
  }
}

/** Shorter where the reader closes meanwhile. */
function wait(ms: number, reader: CommandReader): Promise<void> {
  return new Promise((resolve) => {
    const closing = reader.onClose(() => go())
    const timer = setTimeout(() => go(), ms)
    const go = (): void => {
      clearTimeout(timer)
      closing.dispose()
      resolve()
    }
  })
}

/**
 * With what it started, where it is the first of its process group. Systems without a shell keep it running.
 * @returns whether it has ended
 */
async function kill(agent: AgentClient, pid: number): Promise<boolean> {
  const script = 'kill -KILL -- "-$0" 2> /dev/null || kill -KILL "$0"'
  try {
    const killer = await agent.call('guest-exec', { path: '/bin/sh', arg: ['-c', script, String(pid)] })
    // An agent keeps what it knows of a command until its end was told.
    await reap(agent, killer.pid)
    return await reap(agent, pid)
  } catch {
    return false
  }
}

async function reap(agent: AgentClient, pid: number): Promise<boolean> {
  for (let at = 0; at < REAP_TRIES; at++) {
    if ((await agent.call('guest-exec-status', { pid }, OUTPUT_TIME)).exited) return true
    await sleep(OFTEN * SLOWER ** at)
  }
  return false
}

function decode(base64: string | undefined): Uint8Array {
  return base64 === undefined ? new Uint8Array() : Buffer.from(base64, 'base64')
}
