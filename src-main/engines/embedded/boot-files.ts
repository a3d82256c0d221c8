/**
 * The files a machine boots from, read and checked before v86 sees them: v86 takes anything, and answers nonsense with silence.
 * Sources: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst), PC option ROM and BIOS sizes.
 */
import { open } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { formatBytes, KiB, MiB } from '../../../src-shared/base/units.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'

/** v86 puts the kernel at 1 MiB and the initial file system at 64 MiB. */
const KERNEL_AT = 1 * MiB
export const INITRD_AT = 64 * MiB
const MAX_KERNEL = INITRD_AT - KERNEL_AT
const MAX_INITRD = 1024 * MiB
/** What a kernel needs beside its initial file system to unpack and start. */
const ROOM_TO_START = 32 * MiB
const MAX_BIOS = 256 * KiB
const MAX_VGA_BIOS = 64 * KiB

export interface Firmware {
  bios: ArrayBuffer
  vgaBios: ArrayBuffer
}

export interface KernelBoot {
  kernel: ArrayBuffer
  initrd: ArrayBuffer | null
  cmdline: string
}

/** @throws AppError naming the file */
export async function readFirmware(paths: NonNullable<MachineSpec['firmware']>): Promise<Firmware> {
  const bios = await readWhole(paths.bios, MAX_BIOS, 'The BIOS')
  // The processor starts 16 bytes below 4 GiB, in the BIOS's last paragraph, and BIOS sizes are multiples of 64 KiB.
  if (bios.byteLength % (64 * KiB) !== 0)
    throw new AppError(
      'corrupt',
      `The BIOS file ${paths.bios} has ${bios.byteLength} bytes. A BIOS has 64, 128 or 256 KiB: this file is not one, or is damaged.`,
      { subject: paths.bios },
    )
  return { bios, vgaBios: await readWhole(paths.vgaBios, MAX_VGA_BIOS, 'The VGA BIOS') }
}

/** @throws AppError naming the file and what is wrong with it */
export async function readKernelBoot(
  boot: { kernel: string; initrd: string | null; cmdline: string },
  memory: number,
): Promise<KernelBoot> {
  const kernel = await readWhole(boot.kernel, MAX_KERNEL, 'The kernel')
  checkKernel(new Uint8Array(kernel), boot.kernel, boot.cmdline)
  const initrd = boot.initrd === null ? null : await readWhole(boot.initrd, MAX_INITRD, 'The initial file system')
  const needed = (initrd ? INITRD_AT + initrd.byteLength : KERNEL_AT + kernel.byteLength) + ROOM_TO_START
  if (memory < needed)
    throw new AppError(
      'invalid-input',
      `The machine has ${formatBytes(memory)} of memory, too little to start this kernel${initrd ? ' and its initial file system' : ''}. Give it at least ${Math.ceil(needed / MiB)} MiB.`,
      { fields: [{ path: 'memoryMiB', message: `Starting this kernel takes at least ${Math.ceil(needed / MiB)} MiB.` }] },
    )
  return { kernel: padded(kernel), initrd, cmdline: boot.cmdline }
}

/** Offsets in the setup header (boot.rst, "The Real-Mode Kernel Header"). */
const HEADER = { setupSectors: 0x1f1, bootFlag: 0x1fe, magic: 0x202, version: 0x206, loadFlags: 0x211, cmdlineSize: 0x238, end: 0x260 }
const BOOT_FLAG = 0xaa55
const MAGIC = 0x53726448 // "HdrS"
const OLDEST_VERSION = 0x0202
const LOADED_HIGH = 1

/** @throws AppError `corrupt` or `invalid-input` */
export function checkKernel(kernel: Uint8Array, path: string, cmdline: string): void {
  const bad = (why: string): AppError =>
    new AppError('corrupt', `${path} is not a Linux kernel that can be started here: ${why}. Choose a bzImage (Debian calls it vmlinuz).`, {
      subject: path,
    })
  if (kernel.length < HEADER.end) throw bad(`it has only ${kernel.length} bytes`)
  const view = new DataView(kernel.buffer, kernel.byteOffset, kernel.length)
  if (view.getUint16(HEADER.bootFlag, true) !== BOOT_FLAG || view.getUint32(HEADER.magic, true) !== MAGIC)
    throw bad('the boot header “HdrS” is missing')
  const version = view.getUint16(HEADER.version, true)
  if (version < OLDEST_VERSION || !(view.getUint8(HEADER.loadFlags) & LOADED_HIGH)) throw bad('it is too old')
  const setup = ((view.getUint8(HEADER.setupSectors) || 4) + 1) * 512
  if (setup >= kernel.length) throw bad('it ends inside its set-up code')
  const longest = version >= 0x0206 ? view.getUint32(HEADER.cmdlineSize, true) : 255
  if (cmdline.length > longest)
    throw new AppError('invalid-input', `The command line has ${cmdline.length} characters; this kernel takes at most ${longest}.`, {
      fields: [{ path: 'boot.cmdline', message: `This kernel takes at most ${longest} characters.` }],
    })
}

/** v86 reads the kernel in words of 4 bytes. */
function padded(bytes: ArrayBuffer): ArrayBuffer {
  return bytes.byteLength % 4 === 0 ? bytes : bytes.transfer(Math.ceil(bytes.byteLength / 4) * 4)
}

async function readWhole(path: string, limit: number, what: string): Promise<ArrayBuffer> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size === 0) throw new AppError('corrupt', `${what} file ${path} is empty.`, { subject: path })
    if (size > limit)
      throw new AppError('unsupported', `${what} file ${path} has ${formatBytes(size)}; at most ${formatBytes(limit)} can be used.`, {
        subject: path,
      })
    const bytes = new Uint8Array(size)
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(bytes, at, size - at, at)
      if (bytesRead === 0) throw new AppError('io', `${what} file ${path} became shorter while it was read.`, { subject: path })
      at += bytesRead
    }
    return bytes.buffer
  } catch (error) {
    throw asAppError(error, `Reading ${what.toLowerCase().replace('bios', 'BIOS').replace('vga', 'VGA')}`)
  }
}
