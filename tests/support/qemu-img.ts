/** The computer's own qemu-img and qemu-io: what images are compared with. */
import { output, without } from './programs.ts'

/** Where they are missing, tests that need them are skipped; in CI they must be there. */
export const WITHOUT_QEMU_IMG = without('qemu-img', 'qemu-io')

/** @throws with what it printed */
export function qemuImg(...args: string[]): Promise<string> {
  return output('qemu-img', args)
}

/** Commands of qemu-io on an image: "write -P 0x11 0 64k". */
export async function qemuIo(format: string, path: string, ...commands: string[]): Promise<string> {
  const printed = await output('qemu-io', ['-f', format, ...commands.flatMap((command) => ['-c', command]), path])
  // qemu-io ends well although a command failed.
  if (/error|failed|invalid/i.test(printed)) throw new Error(printed)
  return printed
}
