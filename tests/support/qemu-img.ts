/** The computer's own qemu-img and qemu-io: what images are compared with. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

function find(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, process.platform === 'win32' ? `${program}.exe` : program))
    .find((path) => existsSync(path))
}

const QEMU_IMG = find('qemu-img')
const QEMU_IO = find('qemu-io')

/** Where they are missing, tests that need them are skipped; in CI they must be there. */
export const WITHOUT_QEMU_IMG = !(QEMU_IMG && QEMU_IO) && !process.env['CI']

const run = promisify(execFile)

/** @throws with what it printed */
export async function qemuImg(...args: string[]): Promise<string> {
  const { stdout } = await run(QEMU_IMG!, args)
  return stdout
}

/** Commands of qemu-io on an image: "write -P 0x11 0 64k". */
export async function qemuIo(format: string, path: string, ...commands: string[]): Promise<string> {
  const { stdout } = await run(QEMU_IO!, ['-f', format, ...commands.flatMap((command) => ['-c', command]), path])
  // qemu-io ends well although a command failed.
  if (/error|failed|invalid/i.test(stdout)) throw new Error(stdout)
  return stdout
}
