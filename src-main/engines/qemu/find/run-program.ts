/** Runs a found program that may be anything: no shell, a clean environment, and limits to how long it runs and how much it says. */
import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
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

/** Never rejects. When it resolves the program is gone, or beyond our reach. */
export const runProgram: RunProgram = ({ program, args, input, limit }) =>
  new Promise((resolve) => {
    const began = performance.now()
    const output: Uint8Array[] = []
    const messages: Uint8Array[] = []
    let outputBytes = 0
    let messageBytes = 0
    let end: RunResult['end'] = 'exit'
    const child = spawn(program, args, {
      cwd: dirname(program),
      env: cleanEnvironment(process.env, process.platform),
      stdio: 'pipe',
      windowsHide: true,
    })
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
      if (end !== 'exit') return finish(code)
      child.on('close', () => finish(code))
      setTimeout(() => finish(code), LAST_WORDS).unref()
    })
  })

/** ms for which the output of a program that has ended is waited for. */
const LAST_WORDS = 1000

function text(parts: readonly Uint8Array[]): string {
  return new TextDecoder().decode(concatBytes(parts))
}
