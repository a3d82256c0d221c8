/** Tries an accelerator: runs the probe's guest on it and takes the time. */
import { lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { QemuProgram } from '../../../../../src-shared/model/engine-facts.ts'
import type { Accelerator } from '../../../../../src-shared/model/machine-spec.ts'
import type { Arch } from '../../../../../src-shared/model/machine.ts'
import { lastReason } from '../../supervise/message-tail.ts'
import type { RunProgram } from '../run-program.ts'
import { AARCH64_EXIT_CODE, aarch64Image } from './aarch64-image.ts'
import { EXIT_PORT, X86_EXIT_CODE, x86Image } from './x86-image.ts'

const PREFIX = 'coppice-probe-'
/** ms after which a probe's folder is nobody's any more. */
const LEFT_OVER = 10 * 60 * 1000

/** What became of it; `slow` is also what never came to its end. */
export type ProbeResult = { kind: 'works'; ms: number } | { kind: 'slow'; ms: number } | { kind: 'fails'; message: string }

interface Guest {
  image(): Uint8Array
  exitCode: number
  machine(program: QemuProgram): string
  args: readonly string[]
}

const GUESTS: Partial<Record<Arch, Guest>> = {
  x86_64: {
    image: x86Image,
    exitCode: X86_EXIT_CODE,
    // The board with the least on it; some builds lack it.
    machine: ({ machineTypes }) =>
      machineTypes.some(({ name }) => name === 'microvm') ? 'microvm,acpi=off,pit=off,pic=off,rtc=off' : 'q35',
    args: ['-device', `isa-debug-exit,iobase=0x${EXIT_PORT.toString(16)},iosize=0x04`],
  },
  aarch64: {
    image: aarch64Image,
    exitCode: AARCH64_EXIT_CODE,
    machine: () => 'virt',
    // The board's own choice has 32 bits.
    args: ['-cpu', 'max'],
  },
}

export function canProbe(arch: Arch): boolean {
  return GUESTS[arch] !== undefined
}

/** Pure. @param image path of the guest's image */
export function probeArguments(program: QemuProgram, accelerator: Accelerator, image: string): string[] {
  const guest = GUESTS[program.arch]!
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-M', guest.machine(program), '-accel', accelerator, '-m', '16', '-bios', image],
    ...guest.args,
  ]
}

/** @param limit ms in which it has to be done */
export async function probe(program: QemuProgram, accelerator: Accelerator, limit: number, run: RunProgram): Promise<ProbeResult> {
  const guest = GUESTS[program.arch]!
  await removeLeftOver(tmpdir())
  const folder = await mkdtemp(join(tmpdir(), PREFIX))
  try {
    const image = join(folder, 'probe.bin')
    await writeFile(image, guest.image(), { mode: 0o600 })
    const { end, code, messages, ms } = await run({ program: program.path, args: probeArguments(program, accelerator, image), limit })
    if (end === 'limit') return { kind: 'slow', ms: Math.round(ms) }
    if (end === 'exit' && code === guest.exitCode) return { kind: 'works', ms: Math.round(ms) }
    const ending = end === 'exit' ? `QEMU ended with ${code === null ? 'a crash' : `status ${code}`}.` : 'QEMU could not be run.'
    return { kind: 'fails', message: lastReason(messages) ?? ending }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Folders of probes whose process was killed. Never rejects. */
export async function removeLeftOver(temporary: string): Promise<void> {
  const names = await readdir(temporary).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(PREFIX)) continue
    const path = join(temporary, name)
    const stats = await lstat(path).catch(() => null)
    // Others may write there, too: theirs, and what only looks like a folder, stays.
    if (!stats?.isDirectory() || (process.getuid !== undefined && stats.uid !== process.getuid())) continue
    if (Date.now() - stats.mtimeMs > LEFT_OVER) await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}
