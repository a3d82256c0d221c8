/** Runs the command line as a person's shell would. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { appRoot } from '../../src-main/app/paths.ts'

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env: Record<string, string>
  cwd?: string
  /** Standard input; nothing by default. */
  input?: string
  /** Another path of bin/coppice. */
  program?: string
}

export async function coppice(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = spawn(options.program ?? join(appRoot, 'bin/coppice'), args, {
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  // It may end without reading all of its input.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const [code, stdout, stderr] = await Promise.all([exited, text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}
