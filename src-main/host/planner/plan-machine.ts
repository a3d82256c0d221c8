/**
 * The planner: machine configuration + what was found on this computer -> MachineSpec, or everything that is wrong with it at once. Pure.
 * Each problem names its field as machine.json has it, so that the window shows it where it is mended.
 */
import { formatBytes, MiB } from '../../../src-shared/base/units.ts'
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { EngineLimits } from '../../../src-shared/model/engine-limits.ts'
import type { Boot, Drive, MachineConfig } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { CD_SECTOR, volumeShortfall, type FileFact } from './file-fact.ts'

export interface PlanFacts {
  engine: EngineLimits
  firmware: { bios: string; vgaBios: string }
  /** Absolute path of the bundle's logs folder. */
  logFolder: string
  /** By path as in the configuration; one for each path that it names. */
  files: ReadonlyMap<string, FileFact>
}

/** An image to open for a drive. */
export interface PlannedImage {
  drive: string
  path: string
  format: Drive['format']
  readOnly: boolean
}

export type Plan =
  | { spec: MachineSpec; images: PlannedImage[]; problems: null; warnings: FieldError[] }
  | { spec: null; problems: FieldError[]; warnings: FieldError[] }

/** Bytes of the largest floppy (2.88 MB, ED). */
const MAX_FLOPPY = 2880 * 1024
/** MiB that a Linux kernel needs beside its own image and its initial RAM disk. */
const KERNEL_HEADROOM_MIB = 16

/** Every path that the configuration names. */
export function pathsOf(config: Pick<MachineConfig, 'boot' | 'drives'>): string[] {
  const boot = config.boot.kind === 'kernel' ? [config.boot.kernel, config.boot.initrd] : []
  return [...boot, ...config.drives.map((drive) => drive.path)].filter((path) => path !== null)
}

export function planMachine(config: MachineConfig, facts: PlanFacts): Plan {
  const problems: FieldError[] = []
  const warnings: FieldError[] = []
  const report: Report = {
    problem: (path, message) => void problems.push({ path, message }),
    warning: (path, message) => void warnings.push({ path, message }),
  }
  checkEngine(config, facts.engine, report)
  const boot = planBoot(config, facts, report)
  const drives = config.drives.map((drive, at) => planDrive(drive, `drives.${at}.path`, facts, report))
  if (problems.length > 0) return { spec: null, problems, warnings }
  const spec: MachineSpec = {
    id: config.id,
    name: config.name,
    engine: 'embedded',
    arch: config.arch,
    cpus: config.cpus,
    memoryMiB: config.memoryMiB,
    firmware: facts.firmware,
    boot,
    drives,
    nics: config.nics.map(({ id, model, mac }) => ({ id, model, mac })),
    serialPorts: config.serialPorts,
    sharedFolders: [],
    logFolder: facts.logFolder,
    qemu: null,
  }
  const images = config.drives.flatMap((drive, at) => {
    const file = drive.path === null ? undefined : facts.files.get(drive.path)
    return file ? [{ drive: drive.id, path: file.path, format: drive.format, readOnly: drives[at]!.readOnly }] : []
  })
  return { spec: deepFreeze(spec), images, problems: null, warnings }
}

interface Report {
  problem(path: string, message: string): void
  warning(path: string, message: string): void
}

function checkEngine(config: MachineConfig, engine: EngineLimits, { problem }: Report): void {
  const Engine = engine.name.charAt(0).toUpperCase() + engine.name.slice(1)
  const room = (count: number, words: string): string => `${Engine} has room for ${count} ${words}${count === 1 ? '' : 's'}.`
  if (!engine.arches.includes(config.arch))
    problem('arch', `${Engine} runs ${engine.arches.join(' and ')} systems, not ${config.arch} ones.`)
  if (config.cpus > engine.maxCpus) problem('cpus', `${room(engine.maxCpus, 'processor')} Give the machine no more.`)
  if (config.memoryMiB > engine.memoryMiB.max)
    problem('memoryMiB', `${config.memoryMiB} MiB is more memory than ${engine.name} can give. The most is ${engine.memoryMiB.max} MiB.`)
  if (config.serialPorts > engine.serialPorts)
    problem('serialPorts', `${Engine} has at most ${engine.serialPorts} serial ports, not ${config.serialPorts}.`)
  if (config.nics.length > engine.nics) problem(`nics.${engine.nics}`, `${room(engine.nics, 'network card')} Remove the others.`)
  config.nics.forEach(({ model }, at) => {
    if (!engine.nicModels.includes(model))
      problem(`nics.${at}.model`, `${Engine} has no ${model} network card. Choose ${engine.nicModels.join(' or ')}.`)
  })
  const count = { disk: 0, cdrom: 0, floppy: 0 }
  config.drives.forEach((drive, at) => {
    const most = engine.drives[drive.kind]
    if (++count[drive.kind] === most + 1) problem(`drives.${at}.kind`, `${room(most, DRIVE_WORDS[drive.kind])} Remove one.`)
  })
}

const DRIVE_WORDS: Record<Drive['kind'], string> = { disk: 'disk', cdrom: 'CD drive', floppy: 'floppy drive' }

function planBoot(config: MachineConfig, facts: PlanFacts, report: Report): MachineSpec['boot'] {
  const { boot } = config
  if (boot.kind === 'firmware') {
    if (!boot.order.some((kind) => config.drives.some((drive) => drive.kind === kind && drive.path !== null)))
      report.warning('boot.order', 'None of the drives in the boot order has anything in it: the machine will find nothing to boot.')
    return { kind: 'firmware', order: [...boot.order] }
  }
  const kernel = usableFile(facts, boot.kernel, 'boot.kernel', 'The kernel', report)
  if (kernel && kernel.linuxKernel === false)
    report.problem('boot.kernel', `The kernel “${kernel.path}” is not a Linux kernel for PCs (a bzImage). Choose another file.`)
  const initrd = boot.initrd === null ? null : usableFile(facts, boot.initrd, 'boot.initrd', 'The initial RAM disk', report)
  if (kernel) checkRoom(config, kernel.bytes + (initrd?.bytes ?? 0), report)
  return { kind: 'kernel', kernel: kernel?.path ?? '', initrd: initrd?.path ?? null, cmdline: boot.cmdline } satisfies Boot
}

function checkRoom(config: MachineConfig, bytes: number, { problem }: Report): void {
  const needed = Math.ceil(bytes / MiB) + KERNEL_HEADROOM_MIB
  if (config.memoryMiB < needed)
    problem(
      'memoryMiB',
      `${config.memoryMiB} MiB is too little for this kernel and initial RAM disk (together ${formatBytes(bytes)}). Give the machine at least ${needed} MiB.`,
    )
}

function planDrive(drive: Drive, field: string, facts: PlanFacts, report: Report): MachineSpec['drives'][number] {
  const { id, kind, format, limits } = drive
  const readOnly = drive.readOnly || kind === 'cdrom'
  if (drive.path === null) return { id, kind, readOnly, inserted: false, path: null, format, limits }
  const file = usableFile(facts, drive.path, field, DRIVE_FILES[kind], report)
  if (file) {
    if (kind === 'cdrom') checkIso(file, field, report)
    if (kind === 'floppy' && file.bytes > MAX_FLOPPY)
      report.problem(
        field,
        `“${file.path}” is too large for a floppy: it has ${formatBytes(file.bytes)}, a floppy at most ${formatBytes(MAX_FLOPPY)}.`,
      )
    if (!readOnly && !file.writable)
      report.problem(
        field,
        `You have no permission to write to “${file.path}”. Make the drive read-only, or change the file’s permissions.`,
      )
  }
  return { id, kind, readOnly, inserted: true, path: file?.path ?? null, format, limits }
}

const DRIVE_FILES: Record<Drive['kind'], string> = { disk: 'The disk image', cdrom: 'The ISO image', floppy: 'The floppy image' }

/** A truncated image otherwise boots into a guest that spins in silence. */
function checkIso(file: FileFact, field: string, { problem, warning }: Report): void {
  const missing = volumeShortfall(file)
  const rest = file.bytes % CD_SECTOR
  if (missing !== null && missing > 0)
    problem(
      field,
      `The ISO image “${file.path}” is truncated: it says that it has ${formatBytes(file.volumeBytes!)}, but the file ends ${formatBytes(missing)} earlier. Download or copy it again.`,
    )
  else if (missing === null && rest !== 0)
    problem(
      field,
      `“${file.path}” is not an ISO image, or a truncated one: its ${file.bytes} bytes are not a whole number of ${CD_SECTOR}-byte sectors.`,
    )
  else if (missing === null) warning(field, `“${file.path}” has no ISO 9660 file system. The machine may find nothing to boot on it.`)
  else if (rest !== 0) warning(field, `“${file.path}” ends in the middle of a sector, after the end of its file system.`)
}

/** The fact for a path, or null with its problem reported. */
function usableFile(facts: PlanFacts, path: string, field: string, what: string, { problem }: Report): FileFact | null {
  const file = facts.files.get(path)
  if (!file) return null
  const name = `${what} “${file.path}”`
  const trouble: Record<Exclude<FileFact['kind'], 'file'>, string> = {
    missing: `${name} is not there. Put it back, or choose another file.`,
    folder: `${name} is a folder. Choose a file.`,
    special: `${name} is not a regular file. Choose a file.`,
    denied: `You have no permission to read ${name.charAt(0).toLowerCase()}${name.slice(1)}.`,
    escapes: `“${path}” leaves the machine’s bundle. Put the file inside, or give its full path.`,
  }
  if (file.kind !== 'file') problem(field, trouble[file.kind])
  else if (file.bytes === 0) problem(field, `${name} is empty (0 bytes). Choose another file.`)
  else return file
  return null
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(deepFreeze)
  }
  return value
}
