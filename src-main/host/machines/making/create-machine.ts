/** New machines: from Coppice Linux, an ISO, a disk or floppy image, or a kernel. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { ImageInfo } from '../../../../src-shared/model/image-info.ts'
import {
  isAbsolutePath,
  MACHINE_SCHEMA,
  parseMachineConfig,
  type Arch,
  type Boot,
  type Drive,
  type MachineConfig,
} from '../../../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../../../src-shared/model/network-disk.ts'
import type { NewDisk } from '../../../../src-shared/model/new-disk.ts'
import { applianceThread } from '../../../../src-shared/threads/appliance-thread.ts'
import { storageJob } from '../../images/storage-job.ts'
import type { Library } from '../../library/library.ts'
import { planMachine } from '../../planner/plan-machine.ts'
import type { TaskContext, TaskService } from '../../tasks/task-service.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { freeId, makeDisk } from '../../disks/make-disk.ts'
import { placeCopy, placeShared } from './boot-files.ts'
import { inspectDisk, networkFormat, notWritable } from './drive-formats.ts'
import {
  bootFrom,
  drive,
  isSampleArch,
  newNics,
  notSample,
  sketchNew,
  type NewMachineRequest,
  type SampleArch,
  type SketchParts,
} from './sketch-machine.ts'
import { noNetwork } from '../../networks/no-network.ts'
import { stageBundle } from './staging.ts'

export interface MakerParts extends SketchParts {
  library: Library
  tasks: TaskService
  storage: SharedThread
  appliance: SharedThread
  cacheFolder: string
  /** Holds guest/, our own files of Coppice Linux. */
  resources: string
  hasNetwork(name: string): boolean
}

/** Where the parts of a source stand in its bundle. */
const KERNEL = 'boot/kernel'
const INITRD = 'boot/initrd'
const DISK = 'disks/disk0.qcow2'

/**
 * Checks what can be checked at once, and begins.
 * @throws AppError `already-exists` (name), `invalid-input` with the fields of the request
 */
export async function createMachine(request: NewMachineRequest, parts: MakerParts): Promise<TaskStarted> {
  const releaseName = parts.library.claimName(request.name)
  try {
    const sketch = await checkSource(request, parts)
    const again = (): Promise<TaskStarted> => createMachine(request, parts)
    return parts.tasks.start({ kind: 'create-machine', title: `Creating “${request.name}”`, again }, async (context) => {
      try {
        const bundle = await stageBundle(parts.library, request.name, (staging) => fill(staging, request, sketch, parts, context))
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
  { arch, cpus, memoryMiB, firmware, tpm, devices }: MachineConfig,
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
    ...{ arch, cpus, memoryMiB, firmware, tpm, devices },
    ...made,
    nics: newNics(request),
    serialPorts: request.serialPorts,
    sharedFolders: request.sharedFolders,
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
  const more = (before: readonly Drive[] = []): Promise<Drive[]> => placeDisks(folder, request, before, parts, context)
  switch (source.kind) {
    case 'sample':
      return { boot: await placeSample(folder, request.name, isSampleArch(arch) ? arch : 'i386', parts, context), drives: await more() }
    case 'kernel': {
      context.step('Copying the kernel')
      await placeCopy(source.kernel, join(folder, KERNEL))
      if (source.initrd !== null) await placeCopy(source.initrd, join(folder, INITRD))
      const initrd = source.initrd === null ? null : INITRD
      return { boot: { kind: 'kernel', kernel: KERNEL, initrd, cmdline: source.cmdline }, drives: await more() }
    }
    case 'iso':
      return { boot: bootFrom('disk', 'cdrom', 'floppy'), drives: [...(await more()), drive('cdrom0', 'cdrom', source.path, true)] }
    case 'floppy':
      return { boot: bootFrom('floppy', 'disk', 'cdrom'), drives: [...(await more()), drive('floppy0', 'floppy', source.path)] }
    case 'disk': {
      const info = await usableDisk(source, parts.storage)
      if (source.copy) await takeDisk(info, join(folder, DISK), parts.storage, context)
      const disk: Drive = source.copy
        ? { ...drive('disk0', 'disk', DISK), format: 'qcow2' }
        : { ...drive('disk0', 'disk', source.path), format: info.format }
      return { boot: bootFrom('disk', 'cdrom', 'floppy'), drives: [disk, ...(await more([disk]))] }
    }
  }
}

/** The disks beside the source's own, behind `before`. */
async function placeDisks(
  folder: string,
  { newDiskBytes, disks }: NewMachineRequest,
  before: readonly Drive[],
  parts: MakerParts,
  context: TaskContext,
): Promise<Drive[]> {
  const more: NewDisk[] = [...(newDiskBytes === undefined ? [] : [{ kind: 'new' as const, bytes: newDiskBytes }]), ...disks]
  const placed: Drive[] = []
  for (const [at, disk] of more.entries()) {
    const id = freeId('disk', [...before, ...placed])
    if (disk.kind === 'new') {
      placed.push({ ...drive(id, 'disk', await makeDisk(folder, id, disk.bytes, parts.storage)), format: 'qcow2' })
    } else if (isNetworkAddress(disk.path)) placed.push({ ...drive(id, 'disk', disk.path), format: networkFormat(disk.path) })
    else {
      const path = `disks/${id}.qcow2`
      await takeDisk(
        await usableDisk({ path: disk.path, copy: true }, parts.storage, `disks.${at}.path`),
        join(folder, path),
        parts.storage,
        context,
      )
      placed.push({ ...drive(id, 'disk', path), format: 'qcow2' })
    }
  }
  return placed
}

/** @throws AppError `invalid-input` at the field for an image that no machine could use so */
async function usableDisk(
  { path, copy }: { path: string; copy: boolean },
  storage: SharedThread,
  field = 'source.path',
): Promise<ImageInfo> {
  const refuse = (message: string): AppError => AppError.invalid([{ path: field, message }])
  const info = await inspectDisk(path, storage).catch((error: unknown) => {
    throw refuse(asAppError(error).message)
  })
  const refused = info.problem ?? (copy ? null : notWritable(info))
  if (refused !== null) throw refuse(refused)
  return info
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

/** Copies an image as it is in the storage thread, with the task's progress and cancel. */
export async function copyImage(from: string, to: string, storage: SharedThread, context: TaskContext): Promise<void> {
  context.step('Copying the disk image')
  await mkdir(dirname(to), { recursive: true })
  await storageJob(storage, context, (service, job, options) => service.copy({ job, from, to }, options))
}

/** The disk as a whole, in the format of machines' disks. */
export async function takeDisk(info: ImageInfo, to: string, storage: SharedThread, context: TaskContext): Promise<void> {
  const { path, format } = info
  if (format === 'qcow2' && info.backing === null) return copyImage(path, to, storage, context)
  context.step('Converting the disk image')
  await mkdir(dirname(to), { recursive: true })
  await storageJob(storage, context, (service, job, options) =>
    service.convert(
      { job, from: { path, format, folders: [] }, to: { path: to, format: 'qcow2', packed: false, replace: false } },
      options,
    ),
  )
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
 * @returns the machine as it will be, with the source's files where they are now
 * @throws AppError `invalid-input`; field paths are those of the request
 */
async function checkSource(request: NewMachineRequest, parts: MakerParts): Promise<MachineConfig> {
  const { source } = request
  const relative = Object.entries(source).filter(
    ([key, value]) => ['path', 'kernel', 'initrd'].includes(key) && typeof value === 'string' && !isAbsolutePath(value),
  )
  if (relative.length > 0)
    throw AppError.invalid(relative.map(([key, value]) => ({ path: `source.${key}`, message: `“${String(value)}” is not a full path.` })))
  const unknown = request.networks.flatMap((name, at) =>
    name === null || parts.hasNetwork(name) ? [] : [{ path: `networks.${at}`, message: noNetwork(name) }],
  )
  if (unknown.length > 0) throw AppError.invalid(unknown)
  if (source.kind === 'sample' && request.arch !== undefined && !isSampleArch(request.arch))
    throw AppError.invalid([{ path: 'arch', message: notSample(request.arch) }])
  const { sketch, files } = await sketchNew(request, parts)
  const facts = { ...parts.engines.current, firmware: { bios: '', vgaBios: '' }, logFolder: '', firmwareFolder: '', files }
  const plan = planMachine(sketch, facts)
  // What is copied is read-only for as long as that takes.
  const problems = (plan.problems ?? []).filter(({ path }) => !/^drives\.\d+\.readOnly$/.test(path))
  if (problems.length > 0) throw AppError.invalid(problems.map(({ path, message }) => ({ path: fieldOf(path, request), message })))
  if (source.kind === 'disk') await usableDisk(source, parts.storage)
  for (const [at, disk] of request.disks.entries())
    if (disk.kind === 'file' && !isNetworkAddress(disk.path))
      await usableDisk({ path: disk.path, copy: true }, parts.storage, `disks.${at}.path`)
  return sketch
}

const FIELDS: Record<string, string> = { 'boot.kernel': 'source.kernel', 'boot.initrd': 'source.initrd' }

/** A field of the sketch, as the request has it. */
function fieldOf(path: string, { source, newDiskBytes, disks }: NewMachineRequest): string {
  const nic = /^nics\.(\d+)/.exec(path)
  if (nic) return `networks.${nic[1]}`
  const [, at, field] = /^drives\.(\d+)\.?(.*)$/.exec(path) ?? []
  if (at === undefined) return FIELDS[path] ?? path
  const before = ('path' in source ? 1 : 0) + (newDiskBytes === undefined ? 0 : 1)
  const disk = Number(at) - before
  if (disk >= 0 && disk < disks.length) return `disks.${disk}.${field}`
  return Number(at) === 0 && 'path' in source ? `source.${field}` : 'newDiskBytes'
}
