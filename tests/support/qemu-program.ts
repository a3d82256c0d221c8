import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

function find(program: string): string | undefined {
  const name = process.platform === 'win32' ? `${program}.exe` : program
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
}

/** The computer's own QEMU for PCs; undefined where there is none. */
export const QEMU_PROGRAM = find('qemu-system-x86_64')
export const SWTPM = find('swtpm')

/** Its version, "7.2.22"; empty where there is none. */
export const QEMU_VERSION = QEMU_PROGRAM
  ? (/version (\d+\.\d+\.\d+)/.exec(execFileSync(QEMU_PROGRAM, ['--version'], { encoding: 'utf8' }))?.[1] ?? '')
  : ''
