/**
 * Runs a command in a guest through its agent. The agent is asked again and again while the command runs, often while it prints and seldom while
 * it is silent: the protocol has no other way. An agent may give the output in pieces (ours does) or all at its end (qemu-guest-agent).
 */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { GuestCommand } from '../../../src-shared/model/guest-command.ts'
import { encodeEnd, encodeOutput } from '../../../src-shared/model/exec-frames.ts'
import type { AgentClient } from './agent-client.ts'

/** Bytes of standard input: it goes to the agent whole, before the command starts. */
export const MAX_INPUT = 1 * MiB
/** ms between two questions: after output, and at most. */
const OFTEN = 20
const SELDOM = 500
const SLOWER = 1.5
/** Questions whether a command that was killed has ended, some 7 s in all. */
const REAP_TRIES = 12
/** ms for the answer that has a command's whole output. */
const OUTPUT_TIME = 60_000

/**
 * @param stream its bytes are the command's standard input up to their end (none are waited for without `input`); it gets exec frames,
 *   and ends after the last or with an error. Closed from the other side, the command is killed.
 */
export async function runCommand(agent: AgentClient, command: GuestCommand, stream: ByteStream): Promise<void> {
  try {
    const input = command.input ? await readInput(stream) : new Uint8Array()
    // Its caller went away before it had said all.
    if (stream.closed) return
    const { pid } = await agent.call('guest-exec', {
      path: command.path,
      arg: command.args,
      env: command.env,
      ...(input.length > 0 ? { 'input-data': Buffer.from(input).toString('base64') } : {}),
      'capture-output': true,
    })
    await follow(agent, pid, command.limitMs, stream)
    stream.end()
  } catch (error) {
    stream.close(asAppError(error, 'Running a command in the guest'))
  }
}

async function readInput(stream: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const bytes of stream) {
    length += bytes.length
    if (length > MAX_INPUT)
      throw new AppError(
        'unsupported',
        `A command’s standard input can have ${MAX_INPUT / MiB} MiB at most. Put larger data on a disk or a shared folder.`,
      )
    parts.push(bytes)
  }
  return concatBytes(parts)
}

async function follow(agent: AgentClient, pid: number, limitMs: number | null, stream: ByteStream): Promise<void> {
  const until = limitMs === null ? Infinity : performance.now() + limitMs
  let pause = OFTEN
  for (;;) {
    const status = await agent.call('guest-exec-status', { pid }, OUTPUT_TIME)
    const output = [encodeOutput('out', decode(status['out-data'])), encodeOutput('err', decode(status['err-data']))]
    for (const bytes of output) if (bytes.length > 0 && !stream.closed) await stream.write(bytes).catch(() => {})
    if (status.exited) {
      const truncated = status['out-truncated'] === true || status['err-truncated'] === true
      return stream.write(encodeEnd({ exitCode: status.exitcode ?? null, signal: status.signal ?? null, truncated }))
    }
    const now = performance.now()
    if (stream.closed || now >= until) {
      const ended = await kill(agent, pid)
      if (stream.closed) return
      if (!ended)
        throw new AppError(
          'timeout',
          `The command did not end within ${limitMs! / 1000} s, and the guest’s agent could not kill it. It may still run.`,
        )
      throw new AppError('timeout', `The command did not end within ${limitMs! / 1000} s and was killed.`)
    }
    pause = output.some((bytes) => bytes.length > 0) ? OFTEN : Math.min(pause * SLOWER, SELDOM)
    await wait(Math.min(pause, until - now), stream)
  }
}

/** Shorter where the stream closes meanwhile. */
function wait(ms: number, stream: ByteStream): Promise<void> {
  return new Promise((resolve) => {
    const closing = stream.onClose(() => go())
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
    await new Promise((resolve) => setTimeout(resolve, OFTEN * SLOWER ** at))
  }
  return false
}

function decode(base64: string | undefined): Uint8Array {
  return base64 === undefined ? new Uint8Array() : Buffer.from(base64, 'base64')
}
