import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The computer's own QEMU for PCs; null where there is none. */
export const QEMU_PROGRAM = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, process.platform === 'win32' ? 'qemu-system-x86_64.exe' : 'qemu-system-x86_64'))
  .find((path) => existsSync(path))

/** Its version, "7.2.22"; empty where there is none. */
export const QEMU_VERSION = QEMU_PROGRAM
  ? (/version (\d+\.\d+\.\d+)/.exec(execFileSync(QEMU_PROGRAM, ['--version'], { encoding: 'utf8' }))?.[1] ?? '')
  : ''
