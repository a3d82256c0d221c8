/** New machines: from Coppice Linux, an ISO, a disk or floppy image, or a kernel. */
import { open, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { z } from 'zod'
import type { newHardwareSchema, newMachineSchema } from '../../../src-shared/api/machines.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { HardwareVerdict } from '../../../src-shared/model/hardware-verdict.ts'
import {
  ARCHES,
  CPUS,
  isAbsolutePath,
  MACHINE_SCHEMA,
  parseMachineConfig,
  randomMac,
  type Arch,
  type Boot,
  type Drive,
  type MachineConfig,
} from '../../../src-shared/model/machine.ts'
import { applianceThread } from '../../../src-shared/threads/appliance-thread.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import type { Library } from '../library/library.ts'
import { chooseArch } from '../planner/choose-arch.ts'
import { consider } from '../planner/consider.ts'
import type { EngineFactsSource } from '../planner/facts.ts'
import type { FileFact } from '../planner/file-fact.ts'
import { pathsOf } from '../planner/plan-files.ts'
import { planMachine } from '../planner/plan-machine.ts'
import { fileFacts } from '../planner/probe-files.ts'
import type { TaskContext, TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { placeCopy, placeShared } from './boot-files.ts'
import { stageBundle } from './staging.ts'

export type NewMachineRequest = z.output<typeof newMachineSchema>

export interface MakerParts {
  library: Library
  tasks: TaskService
  storage: SharedThread
  appliance: SharedThread
  engines: EngineFactsSource
  cacheFolder: string
  /** Holds guest/, our own files of Coppice Linux. */
  resources: string
  /** MiB for machines that ask for none. */
  defaultMemoryMiB: () => number
}

/** Where the parts of a source stand in its bundle. */
const KERNEL = 'boot/kernel'
const INITRD = 'boot/initrd'
const DISK = 'disks/disk0.img'

/**
 * Checks what can be checked at once, and begins.
 * @throws AppError `already-exists` (name), `invalid-input` with the fields of the request
 */
export async function createMachine(request: NewMachineRequest, parts: MakerParts): Promise<TaskStarted> {
  const releaseName = parts.library.claimName(request.name)
  try {
    const arch = await checkSource(request, parts)
    return parts.tasks.start({ kind: 'create-machine', title: `Creating “${request.name}”` }, async (context) => {
      try {
        const bundle = await stageBundle(parts.library, request.name, (staging) => fill(staging, request, arch, parts, context))
        return { id: bundle.id }
      } finally {
        releaseName()
      }
    })
  } catch (error) {
    releaseName()
    throw error
  }
}

async function fill(
  folder: string,
  request: NewMachineRequest,
  arch: Arch,
  parts: MakerParts,
  context: TaskContext,
): Promise<MachineConfig> {
  const { source } = request
  const made = await place(folder, request, arch, parts, context)
  context.step('Writing the machine')
  if (context.signal.aborted) throw AppError.cancelled()
  return parseMachineConfig({
    schema: MACHINE_SCHEMA,
    id: newId(),
    created: new Date().toISOString(),
    guest: source.kind === 'sample' ? 'coppice-linux' : null,
    name: request.name,
    engine: request.engine,
    arch,
    cpus: request.cpus ?? CPUS.default,
    memoryMiB: request.memoryMiB ?? parts.defaultMemoryMiB(),
    ...made,
    ...chosen(request),
    nics: [{ id: 'nic0', model: source.kind === 'floppy' ? 'ne2k' : 'virtio', mac: randomMac() }],
    serialPorts: request.serialPorts,
    folder: request.folder,
  } satisfies MachineConfig | object)
}

/** Puts the source's files into the bundle. */
async function place(
  folder: string,
  request: NewMachineRequest,
  arch: Arch,
  parts: MakerParts,
  context: TaskContext,
): Promise<{ boot: Boot; drives: Drive[] }> {
  const { source } = request
  const newDiskId = source.kind === 'disk' ? 'disk1' : 'disk0'
  const newDisk = request.newDiskBytes === undefined ? [] : [await makeDisk(folder, newDiskId, request.newDiskBytes)]
  switch (source.kind) {
    case 'sample':
      return { boot: await placeSample(folder, request.name, isSampleArch(arch) ? arch : 'i386', parts, context), drives: newDisk }
    case 'kernel': {
      context.step('Copying the kernel')
      await placeCopy(source.kernel, join(folder, KERNEL))
      if (source.initrd !== null) await placeCopy(source.initrd, join(folder, INITRD))
      const initrd = source.initrd === null ? null : INITRD
      return { boot: { kind: 'kernel', kernel: KERNEL, initrd, cmdline: source.cmdline }, drives: newDisk }
    }
    case 'iso':
      return { boot: firmware('disk', 'cdrom', 'floppy'), drives: [...newDisk, drive('cdrom0', 'cdrom', source.path, true)] }
    case 'floppy':
      return { boot: firmware('floppy', 'disk', 'cdrom'), drives: [...newDisk, drive('floppy0', 'floppy', source.path)] }
    case 'disk': {
      if (source.copy) await copyImage(source.path, join(folder, DISK), parts.storage, context)
      return { boot: firmware('disk', 'cdrom', 'floppy'), drives: [drive('disk0', 'disk', source.copy ? DISK : source.path), ...newDisk] }
    }
  }
}

/** Systems that come on a floppy know no virtio. */
function chosen({ source, firmware, tpm, devices }: NewMachineRequest): Pick<MachineConfig, 'firmware' | 'tpm' | 'devices'> {
  return { firmware: firmware ?? 'bios', tpm: tpm ?? false, devices: devices ?? (source.kind === 'floppy' ? 'legacy' : 'auto') }
}

function firmware(...order: ('disk' | 'cdrom' | 'floppy')[]): Boot {
  return { kind: 'firmware', order }
}

function drive(id: string, kind: Drive['kind'], path: string, readOnly = false): Drive {
  return { id, kind, path, format: 'raw', readOnly, limits: null }
}

/** A new, empty, sparse disk. */
async function makeDisk(folder: string, id: string, bytes: number): Promise<Drive> {
  const path = join(folder, `disks/${id}.img`)
  try {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, 'wx', 0o600)
    try {
      await file.truncate(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, 'Making the disk')
  }
  return drive(id, 'disk', `disks/${id}.img`)
}

async function placeSample(folder: string, name: string, arch: SampleArch, parts: MakerParts, context: TaskContext): Promise<Boot> {
  context.step('Preparing Coppice Linux')
  const appliance = await parts.appliance.use(async (thread) => {
    const service = thread.rpc.service(applianceThread)
    const job = newId()
    const progress = service.progress((now) => {
      if (now.job !== job) return
      context.step(now.step)
      context.progress(now.done, now.total, 'steps')
    })
    try {
      const { cacheFolder, resources } = parts
      return await service.coppiceLinux({ job, arch, cacheFolder, resources }, { signal: context.signal })
    } finally {
      progress.dispose()
    }
  })
  await placeShared(appliance.kernel, join(folder, KERNEL))
  await placeShared(appliance.initrd, join(folder, INITRD))
  return { kind: 'kernel', kernel: KERNEL, initrd: INITRD, cmdline: `${appliance.cmdline} coppice.hostname=${hostName(name)}` }
}

/** Copies an image in the storage thread, with the task's progress and cancel. */
export async function copyImage(from: string, to: string, storage: SharedThread, context: TaskContext): Promise<void> {
  context.step('Copying the disk image')
  await mkdir(dirname(to), { recursive: true })
  await storage.use(async (thread) => {
    const service = thread.rpc.service(storageThread)
    const job = newId()
    const progress = service.progress((now) => {
      if (now.job === job) context.progress(now.done, now.total, 'bytes')
    })
    try {
      await service.copy({ job, from, to }, { signal: context.signal })
    } finally {
      progress.dispose()
    }
  })
}

/** A host name (RFC 1123 section 2.1) like the machine's name. */
export function hostName(name: string): string {
  const words = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
  return words.slice(0, 63).replace(/^-+|-+$/g, '') || 'coppice'
}

/**
 * The planner's word on a request, before any of its files is copied: what could not start is not made.
 * @returns the processor that the machine gets
 * @throws AppError `invalid-input`; field paths are those of the request
 */
async function checkSource(request: NewMachineRequest, parts: MakerParts): Promise<Arch> {
  const { source } = request
  const relative = Object.entries(source).filter(
    ([key, value]) => ['path', 'kernel', 'initrd'].includes(key) && typeof value === 'string' && !isAbsolutePath(value),
  )
  if (relative.length > 0)
    throw AppError.invalid(relative.map(([key, value]) => ({ path: `source.${key}`, message: `“${String(value)}” is not a full path.` })))
  if (source.kind === 'sample' && request.arch !== undefined && !isSampleArch(request.arch))
    throw AppError.invalid([{ path: 'arch', message: notSample(request.arch) }])
  const { sketch, files } = await sketchNew(request, parts)
  const facts = { ...parts.engines.current, firmware: { bios: '', vgaBios: '' }, logFolder: '', firmwareFolder: '', files }
  const plan = planMachine(sketch, facts)
  if (plan.problems) throw AppError.invalid(plan.problems.map(({ path, message }) => ({ path: FIELDS[path] ?? path, message })))
  return sketch.arch
}

/** What is said of a machine that somebody is about to make. */
export async function considerNew({ source, ...wish }: z.output<typeof newHardwareSchema>, parts: MakerParts): Promise<HardwareVerdict> {
  // Which file it is makes no difference, but for a kernel.
  const file = source.kernel ?? '/'
  const from: NewMachineRequest['source'] =
    source.kind === 'sample'
      ? { kind: 'sample' }
      : source.kind === 'kernel'
        ? { kind: 'kernel', kernel: file, initrd: null, cmdline: '' }
        : source.kind === 'disk'
          ? { kind: 'disk', path: file, copy: true }
          : { kind: source.kind, path: file }
  await parts.engines.whenFound()
  const { sketch } = await sketchNew({ ...wish, name: 'new', source: from, folder: [], start: false }, parts)
  const verdict = consider(sketch, parts.engines.current, null)
  if (source.kind !== 'sample') return verdict
  const arches = ARCHES.filter((arch) => !isSampleArch(arch)).map((arch): [string, string] => [arch, notSample(arch)])
  return { ...verdict, refused: { ...verdict.refused, arch: { ...verdict.refused['arch'], ...Object.fromEntries(arches) } } }
}

/** The machine as it would be, and what was found of its files where they are. */
async function sketchNew(
  request: NewMachineRequest,
  { engines, defaultMemoryMiB }: MakerParts,
): Promise<{ sketch: MachineConfig; files: ReadonlyMap<string, FileFact> }> {
  const wish = sketchOf(request, request.memoryMiB ?? defaultMemoryMiB())
  if (wish.engine !== 'embedded') await engines.whenFound()
  const files = await fileFacts('/', pathsOf(wish))
  const kernel64 = request.source.kind === 'kernel' && files.get(request.source.kernel)?.kernel64
  return { sketch: { ...wish, arch: request.arch ?? chooseArch(wish, engines.current, kernel64) }, files }
}

function notSample(arch: Arch): string {
  return `Coppice Linux is made for ${SAMPLE_ARCHES.join(' and ')}, not for ${arch}.`
}

const SAMPLE_ARCHES = ['i386', 'x86_64'] as const
type SampleArch = (typeof SAMPLE_ARCHES)[number]

function isSampleArch(arch: Arch): arch is SampleArch {
  return SAMPLE_ARCHES.some((one) => one === arch)
}

const FIELDS: Record<string, string> = { 'boot.kernel': 'source.kernel', 'boot.initrd': 'source.initrd', 'drives.0.path': 'source.path' }

/** The machine as it would be if it used the source's files where they are. */
function sketchOf(request: NewMachineRequest, memoryMiB: number): MachineConfig {
  const { source, name, cpus, serialPorts, engine } = request
  const boot: Boot =
    source.kind === 'kernel'
      ? { kind: 'kernel', kernel: source.kernel, initrd: source.initrd, cmdline: source.cmdline }
      : firmware('disk', 'cdrom', 'floppy')
  const kind = source.kind === 'iso' ? 'cdrom' : source.kind === 'floppy' ? 'floppy' : 'disk'
  const readOnly = source.kind === 'iso' || (source.kind === 'disk' && source.copy)
  return parseMachineConfig({
    schema: MACHINE_SCHEMA,
    id: newId(),
    created: new Date().toISOString(),
    name,
    engine,
    boot,
    drives: 'path' in source ? [drive('drive0', kind, source.path, readOnly)] : [],
    ...chosen(request),
    serialPorts,
    memoryMiB,
    ...(cpus === undefined ? {} : { cpus }),
  })
}
