/**
 * Runs a found program that may be anything: a clean environment, and limits to how long it runs and how much it says.
 *
 * Theory of operation. Nothing that is run here outlives this process, however that ends. On Windows the system sees to it (libuv puts children
 * into a job that ends with us). Elsewhere a child would run on, and an accelerator's probe that hangs would do so for ever. So a shell starts a
 * watcher and then becomes the program (`exec`: same process id, exit status and signals). The watcher waits for a line on a pipe that we
 * hold; where the pipe ends without one, we are gone, and it ends the program. The shell reads no word of the program's name and arguments.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import { KiB, MiB } from '../../../../src-shared/base/units.ts'
import { cleanEnvironment } from '../supervise/environment.ts'

/** Bytes of standard output, beyond which a program is ended. QEMU's longest list has some 50 KiB. */
export const MAX_OUTPUT = 4 * MiB
/** Bytes of standard error that are kept. */
export const MAX_MESSAGES = 16 * KiB

export interface Run {
  program: string
  args: readonly string[]
  /** What it reads on standard input, which then ends. */
  input?: string
  /** ms, after which it is ended. */
  limit: number
}

export interface RunResult {
  /** `limit`: took too long. `output`: said too much. `absent`: could not be started. */
  end: 'exit' | 'limit' | 'output' | 'absent'
  /** Null where a signal ended it. */
  code: number | null
  output: string
  messages: string
  /** How long it ran. */
  ms: number
}

export type RunProgram = (run: Run) => Promise<RunResult>

/** Number of the watcher's pipe in it. */
const LIFELINE = 3
/** sh(1). In its `&` list $$ is still the process that becomes the program. */
const WATCHED = `(read -r _ <&${LIFELINE} || kill -9 $$) >/dev/null 2>&1 & exec "$@" ${LIFELINE}<&-`

/** Never rejects. When it resolves the program is gone, or beyond our reach. */
export const runProgram: RunProgram = async (run) => {
  if (process.platform === 'win32') return runChild(run, run.program, run.args)
  try {
    await access(run.program, constants.X_OK)
  } catch (error) {
    return { end: 'absent', code: null, output: '', messages: (error as Error).message, ms: 0 }
  }
  return runChild(run, '/bin/sh', ['-c', WATCHED, 'sh', run.program, ...run.args])
}

function runChild({ program, input, limit }: Run, command: string, args: readonly string[]): Promise<RunResult> {
  return new Promise((resolve) => {
    const began = performance.now()
    const output: Uint8Array[] = []
    const messages: Uint8Array[] = []
    let outputBytes = 0
    let messageBytes = 0
    let end: RunResult['end'] = 'exit'
    const child = spawn(command, args, {
      cwd: dirname(program),
      env: cleanEnvironment(process.env, process.platform),
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    const lifeline = child.stdio[LIFELINE] as Writable
    lifeline.on('error', () => {})
    const finish = (code: number | null): void => {
      clearTimeout(timer)
      // A child of its own may hold these open.
      for (const stream of child.stdio) stream?.destroy()
      resolve({ end, code, output: text(output), messages: text(messages), ms: performance.now() - began })
    }
    const stop = (why: RunResult['end']): void => {
      if (end !== 'exit') return
      end = why
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => stop('limit'), limit)
    child.stdout.on('data', (bytes: Uint8Array) => {
      outputBytes += bytes.length
      if (outputBytes > MAX_OUTPUT) stop('output')
      else output.push(bytes)
    })
    child.stderr.on('data', (bytes: Uint8Array) => {
      const kept = bytes.subarray(0, Math.max(0, MAX_MESSAGES - messageBytes))
      messageBytes += kept.length
      if (kept.length > 0) messages.push(kept)
    })
    // It may end without reading.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
    child.on('error', (error) => {
      if (child.pid !== undefined) return
      end = 'absent'
      messages.push(new TextEncoder().encode(error.message))
      finish(null)
    })
    // Its last words come before `close`; where something else holds its pipes open, that does not come by itself.
    child.on('exit', (code) => {
      // Before its process id can be another's.
      lifeline.end('\n', () => lifeline.destroy())
      if (end !== 'exit') return finish(code)
      child.on('close', () => finish(code))
      setTimeout(() => finish(code), LAST_WORDS).unref()
    })
  })
}

/** ms for which the output of a program that has ended is waited for. */
const LAST_WORDS = 1000

function text(parts: readonly Uint8Array[]): string {
  return new TextDecoder().decode(concatBytes(parts))
}
