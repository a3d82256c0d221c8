/** Programs of this computer that tests compare with or use as peers. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** Its path; undefined where there is none. */
export function findProgram(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, process.platform === 'win32' ? `${program}.exe` : program))
    .find((path) => existsSync(path))
}

/** Where they are missing, tests that need them are skipped; in CI they must be there. */
export function without(...programs: string[]): boolean {
  return !programs.every((program) => findProgram(program)) && !process.env['CI']
}

const run = promisify(execFile)

/** What it prints. @throws with what it said */
export async function output(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(findProgram(program) ?? program, args, { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}
