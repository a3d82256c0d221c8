/** The files that a machine uses, each checked against what was found of it. Pure. */
import { formatBytes, MiB } from '../../../src-shared/base/units.ts'
import { isPc, type Boot, type Drive, type MachineConfig, type SharedFolder } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import { shareRisk } from '../../../src-shared/model/shared-folder.ts'
import type { PlanFacts } from './facts.ts'
import { CD_SECTOR, volumeShortfall, type FileFact } from './file-fact.ts'
import type { Report } from './report.ts'

type Files = ReadonlyMap<string, FileFact>

/** Bytes of the largest floppy (2.88 MB, ED). */
const MAX_FLOPPY = 2880 * 1024
/** MiB that a Linux kernel needs beside its own image and its initial RAM disk. */
const KERNEL_HEADROOM_MIB = 16
/** Memory is chosen in whole steps of so much. */
const MEMORY_STEP_MIB = 128

/** Every path that the configuration names. */
export function pathsOf({
  boot,
  drives,
  sharedFolders,
}: Pick<MachineConfig, 'boot' | 'drives'> & Partial<Pick<MachineConfig, 'sharedFolders'>>): string[] {
  const booted = boot.kind === 'kernel' ? [boot.kernel, boot.initrd] : []
  const folders = (sharedFolders ?? []).map((folder) => folder.path)
  return [...booted, ...drives.map((drive) => drive.path), ...folders].filter((path) => path !== null)
}

export function planBoot(config: MachineConfig, engine: MachineSpec['engine'], files: Files, report: Report): MachineSpec['boot'] {
  const { boot } = config
  if (boot.kind === 'firmware') {
    if (!boot.order.some((kind) => config.drives.some((drive) => drive.kind === kind && drive.path !== null)))
      report.warning('boot.order', 'None of the drives in the boot order has anything in it: the machine will find nothing to boot.')
    return { kind: 'firmware', order: [...boot.order] }
  }
  const kernel = usableFile(files, boot.kernel, 'boot.kernel', 'The kernel', report)
  if (kernel && isPc(config.arch)) checkPcKernel(kernel, config, engine, report)
  if (kernel?.kernel64 && config.arch === 'i386')
    report.problem(
      'boot.kernel',
      `The kernel “${kernel.path}” is for 64-bit PCs, and this machine is a 32-bit one. Make it an x86_64 machine, or choose another kernel.`,
    )
  const initrd = boot.initrd === null ? null : usableFile(files, boot.initrd, 'boot.initrd', 'The initial RAM disk', report)
  if (kernel) checkRoom(config, { ...boot, kernel, initrd }, report)
  return { kind: 'kernel', kernel: kernel?.path ?? '', initrd: initrd?.path ?? null, cmdline: boot.cmdline } satisfies Boot
}

function checkPcKernel({ path, linuxKernel }: FileFact, { firmware }: MachineConfig, engine: MachineSpec['engine'], report: Report): void {
  if (linuxKernel === null)
    report.problem('boot.kernel', `The kernel “${path}” is not a Linux kernel for PCs (a bzImage). Choose another file.`)
  if (linuxKernel !== 'pvh') return
  if (engine === 'embedded')
    report.problem(
      'boot.kernel',
      `The kernel “${path}” is an unpacked one, which QEMU starts. Choose a bzImage for the embedded engine, or let QEMU run the machine.`,
    )
  if (firmware !== 'bios')
    report.problem(
      'firmware',
      `The kernel “${path}” is an unpacked one, which UEFI does not start. Choose BIOS, or a bzImage as the kernel.`,
    )
}

interface KernelFiles {
  kernel: Pick<FileFact, 'bytes'>
  initrd: Pick<FileFact, 'bytes' | 'unpackedBytes'> | null
  cmdline: string
}

/**
 * MiB without which the kernel certainly does not get as far as its first program. It unpacks its initial RAM disk into a tmpfs, which takes
 * half of the memory, or, where it is told another root file system, into a ramfs, which takes all (Linux, init/do_mounts.c).
 */
export function leastForKernel({ kernel, initrd, cmdline }: KernelFiles): number {
  const unpacked = (initrd?.unpackedBytes ?? 0) * (/(?:^| )root=/.test(cmdline) ? 1 : 2)
  return Math.ceil((kernel.bytes + (initrd?.bytes ?? 0) + unpacked) / MiB) + KERNEL_HEADROOM_MIB
}

/** MiB with which it gets there, and its programs have as much again: what a machine gets for which nobody said how much. */
export function enoughForKernel(files: KernelFiles): number {
  const { initrd } = files
  return Math.ceil((leastForKernel(files) + (initrd?.unpackedBytes ?? 0) / MiB) / MEMORY_STEP_MIB) * MEMORY_STEP_MIB
}

function checkRoom(config: MachineConfig, files: KernelFiles, report: Report): void {
  const needed = leastForKernel(files)
  if (config.memoryMiB >= needed) return
  const { kernel, initrd } = files
  const unpacked = initrd?.unpackedBytes ? `, the latter ${formatBytes(initrd.unpackedBytes)} when unpacked` : ''
  report.problem(
    'memoryMiB',
    `${config.memoryMiB} MiB is too little for this kernel and initial RAM disk (together ${formatBytes(kernel.bytes + (initrd?.bytes ?? 0))}${unpacked}). Give the machine at least ${needed} MiB.`,
  )
}

export function planDrive(
  drive: Drive,
  field: string,
  { files, frozen }: Pick<PlanFacts, 'files' | 'frozen'>,
  report: Report,
): MachineSpec['drives'][number] {
  const { id, kind, format, limits, bus, cache } = drive
  const readOnly = drive.readOnly || kind === 'cdrom'
  const plug = { ...(bus === undefined ? {} : { bus }), ...(cache === undefined ? {} : { cache }) }
  if (drive.path === null) return { id, kind, readOnly, inserted: false, path: null, format, limits }
  // What is wrong with the address itself the configuration does not take; whether its server answers shows when it is opened.
  if (isNetworkAddress(drive.path)) return { id, kind, readOnly, inserted: true, path: drive.path, format, limits, ...plug }
  const file = usableFile(files, drive.path, field, DRIVE_FILES[kind], report)
  if (file) {
    if (kind === 'cdrom') checkIso(file, field, report)
    if (kind === 'floppy' && file.bytes > MAX_FLOPPY)
      report.problem(
        field,
        `“${file.path}” is too large for a floppy: it has ${formatBytes(file.bytes)}, a floppy at most ${formatBytes(MAX_FLOPPY)}.`,
      )
    if (kind === 'disk' && !readOnly && frozen?.has(file.path))
      report.problem(
        field,
        `“${file.path}” belongs to a snapshot and must not change. Go back to that snapshot instead, or make the disk read-only.`,
      )
    if (!readOnly && !file.writable)
      report.problem(
        field,
        `You have no permission to write to “${file.path}”. Make the drive read-only, or change the file’s permissions.`,
      )
  }
  return { id, kind, readOnly, inserted: true, path: file?.path ?? null, format, limits, ...plug }
}

const DRIVE_FILES: Record<Drive['kind'], string> = { disk: 'The disk image', cdrom: 'The ISO image', floppy: 'The floppy image' }

/** A truncated image otherwise boots into a guest that spins in silence. */
function checkIso(file: FileFact, field: string, report: Report): void {
  const missing = volumeShortfall(file)
  const rest = file.bytes % CD_SECTOR
  if (missing !== null && missing > 0)
    report.problem(
      field,
      `The ISO image “${file.path}” is truncated: it says that it has ${formatBytes(file.volumeBytes!)}, but the file ends ${formatBytes(missing)} earlier. Download or copy it again.`,
    )
  else if (missing === null && rest !== 0)
    report.problem(
      field,
      `“${file.path}” is not an ISO image, or a truncated one: its ${file.bytes} bytes are not a whole number of ${CD_SECTOR}-byte sectors.`,
    )
  else if (missing === null)
    report.warning(field, `“${file.path}” has no ISO 9660 file system. The machine may find nothing to boot on it.`)
  else if (rest !== 0) report.warning(field, `“${file.path}” ends in the middle of a sector, after the end of its file system.`)
}

/** The fact for a path, or null with its problem reported. */
function usableFile(files: Files, path: string, field: string, what: string, report: Report): FileFact | null {
  const file = files.get(path)
  if (!file) return null
  const name = `${what} “${file.path}”`
  const trouble: Record<Exclude<FileFact['kind'], 'file'>, string> = {
    missing: `${name} is not there. Put it back, or choose another file.`,
    folder: `${name} is a folder. Choose a file.`,
    special: `${name} is not a regular file. Choose a file.`,
    denied: `You have no permission to read ${name.charAt(0).toLowerCase()}${name.slice(1)}.`,
    escapes: `“${path}” leaves the machine’s bundle. Put the file inside, or give its full path.`,
    unreadable: `${name} cannot be read: ${file.reason}.`,
    network: `${name} is an address on the network. Choose a file.`,
  }
  if (file.kind !== 'file') report.problem(field, trouble[file.kind])
  else if (file.bytes === 0) report.problem(field, `${name} is empty (0 bytes). Choose another file.`)
  else return file
  return null
}

/** @param at its place in the configuration */
export function planSharedFolder(
  { tag, path, readOnly }: SharedFolder,
  at: number,
  { files, logFolder }: Pick<PlanFacts, 'files' | 'logFolder'>,
  report: Report,
): MachineSpec['sharedFolders'][number] {
  const field = `sharedFolders.${at}.path`
  const folder = files.get(path)
  const why: Partial<Record<FileFact['kind'], string>> = {
    missing: `The shared folder “${path}” is not there. Put it back, or share another folder.`,
    denied: `You have no permission to read the shared folder “${path}”.`,
    unreadable: `The shared folder “${path}” cannot be read: ${folder?.reason}.`,
  }
  if (folder && folder.kind !== 'folder') report.problem(field, why[folder.kind] ?? `“${path}” is not a folder. Share a folder.`)
  else if (folder && !readOnly && !folder.writable)
    report.problem(field, `You have no permission to write to “${path}”. Share it read-only, or change its permissions.`)
  const risk = shareRisk({ path, readOnly }, logFolder)
  if (risk !== null) report.warning(field, risk)
  return { tag, path: folder?.path ?? path, readOnly }
}
