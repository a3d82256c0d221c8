/**
 * A machine's bundle as one file, `<name>.coppice`: a tar archive of its folder, so that it can be unpacked without Coppice, too.
 *
 * Theory of operation. What is in it: machine.json first, boot files, disks, what its firmware remembers, snapshots, and where the machine is suspended the
 * memory that it goes on with. What is not: logs, locks, the password for VNC viewers, what is half done (hidden files), and files that lie
 * outside of the bundle.
 *
 * An archive is hostile until looked at. Names are plain, below the folders that bundles have, each once; links and devices are refused. What its
 * configurations name outside of the bundle (drives, shared folders) would be files of this computer: it is taken out. A memory state fits the machine
 * exactly as it was, so that it is left behind where something had to be taken out, or where the machine becomes another one because its
 * identity is in the library already.
 */
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { isAbsolutePath, parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { randomMac } from '../../../../src-shared/model/mac.ts'
import { snapshotSchema, type Snapshot } from '../../../../src-shared/model/snapshot.ts'
import { NO_VNC_EXPORT } from '../../../../src-shared/model/vnc.ts'
import { storageThread, type ArchiveMember } from '../../../../src-shared/threads/storage-thread.ts'
import { writeFileAtomic } from '../../../files/write-file-atomic.ts'
import { storageJob } from '../../images/storage-job.ts'
import { CONFIG_FILE, resolveInBundle, SUSPEND_FOLDER } from '../../library/bundle.ts'
import type { Library } from '../../library/library.ts'
import { withHostName } from '../../machines/making/duplicate-machine.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { archiveFiles, partOf, readText } from '../package/package-files.ts'
import type { MachineOffer } from '../package/offer-machine.ts'
import { plainName } from '../text/file-reference.ts'
import { shown } from '../text/remarks.ts'

/** What memory states share. */
const PAGES = 'pages'
/** Folders of a bundle that go along. */
export const BUNDLE_FOLDERS = ['boot', 'disks', 'firmware', 'snapshots', SUSPEND_FOLDER, PAGES] as const
/** Of a snapshot: what it did when it was taken. */
const MEMORY_FILES: readonly string[] = ['memory', 'suspend.json']
const SNAPSHOT_FILE = /^snapshots\/([^/]+)\/snapshot\.json$/

export interface BundleArchive {
  path: string
  /** As written. */
  config: MachineConfig
  /** As written. */
  snapshots: Snapshot[]
  suspended: boolean
  /** By its name in the bundle. */
  members: ReadonlyMap<string, ArchiveMember>
}

/** @throws AppError `corrupt`, `newer-version`, `unsupported`, or why it cannot be read */
export async function openBundleArchive(path: string, storage: SharedThread): Promise<BundleArchive> {
  const what = basename(path)
  const bad = (is: string): AppError => new AppError('corrupt', `${what} ${is}`, { subject: path })
  // Looks at names, too.
  const files = await archiveFiles(path, what, storage)
  const root = files.names.find((name) => basename(name) === CONFIG_FILE && name.split('/').length <= 2)
  if (root === undefined) throw bad('is no archive of a machine of Coppice.')
  const prefix = root.slice(0, -CONFIG_FILE.length)
  const members = new Map<string, ArchiveMember>()
  for (const [whole, member] of files.members) {
    const name = whole.startsWith(prefix) ? whole.slice(prefix.length) : null
    if (name === null || !isOfBundle(name)) throw bad(`has a file that no bundle has: “${shown(whole)}”.`)
    members.set(name, member)
  }
  const read = async (name: string): Promise<unknown> => {
    const text = await readText(partOf(path, members.get(name)!), storage)
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as unknown
    } catch {
      throw bad(`has a file that is not valid JSON: “${shown(name)}”.`)
    }
  }
  const config = parseMachineConfig(await read(CONFIG_FILE))
  const snapshots: Snapshot[] = []
  for (const name of members.keys()) {
    const id = SNAPSHOT_FILE.exec(name)?.[1]
    if (id === undefined) continue
    const parsed = snapshotSchema.safeParse(await read(name))
    if (!parsed.success || parsed.data.id !== id) throw bad(`has a snapshot that is not valid: “${shown(name)}”.`)
    snapshots.push(parsed.data)
  }
  return { path, config, snapshots, suspended: members.has(`${SUSPEND_FOLDER}/suspend.json`), members }
}

/** Nothing hidden: such names mean what is half done. */
function isOfBundle(name: string): boolean {
  if (name === CONFIG_FILE) return true
  const [folder, ...rest] = name.split('/')
  return BUNDLE_FOLDERS.some((one) => one === folder) && rest.length > 0 && rest.every((part) => !part.startsWith('.'))
}

/** How the machine of an archive becomes one of this library. */
export interface BundlePlan {
  offer: MachineOffer
  archive: BundleArchive
  config: MachineConfig
  snapshots: Snapshot[]
  /** Names in the bundle of what is not taken. */
  leaves: (name: string) => boolean
}

/** Pure, but for new identities. */
export function planBundle(archive: BundleArchive, library: Pick<Library, 'get' | 'suggestName'>): BundlePlan {
  const { config: was, members } = archive
  const remarks = new Set<string>()
  const isCopy = library.get(was.id) !== undefined
  const identity = isCopy ? newIdentity([was, ...archive.snapshots.map(({ config }) => config)]) : (config: MachineConfig) => config
  if (isCopy)
    remarks.add(
      'This machine is in the library already: what is imported is another one, with an identity and network addresses of its own.',
    )
  const own = (config: MachineConfig): { config: MachineConfig; whole: boolean } => {
    const inside = withoutOutside(config, remarks)
    return { config: identity(inside), whole: inside === config && !isCopy }
  }
  const now = own(was)
  const lost = new Set<string>()
  const keepsMemory = archive.suspended && now.whole
  if (archive.suspended)
    remarks.add(
      keepsMemory
        ? 'It is suspended, and goes on with the memory that is in the archive. Resume it only if you trust where the archive comes from.'
        : 'What it was doing when it was suspended is left out: it starts afresh.',
    )
  const snapshots = archive.snapshots.map((snapshot) => {
    const { config, whole } = own(snapshot.config)
    if (whole || snapshot.memory === null) return { ...snapshot, config }
    lost.add(snapshot.id)
    return { ...snapshot, config, memory: null }
  })
  if (lost.size > 0) remarks.add(`What the machine was doing is left out of snapshots (${lost.size}): they keep its disks.`)
  const missing = [was, ...archive.snapshots.map(({ config }) => config)].flatMap(pathsInside).find((path) => !members.has(path))
  const { arch, cpus, memoryMiB, firmware, tpm } = was
  return {
    archive,
    config: { ...now.config, vncExport: NO_VNC_EXPORT },
    snapshots,
    leaves: (name) => {
      const [folder, id, ...rest] = name.split('/')
      if (folder === SUSPEND_FOLDER) return !keepsMemory
      if (folder === PAGES) return !keepsMemory && snapshots.every(({ memory }) => memory === null)
      return folder === 'snapshots' && lost.has(id!) && MEMORY_FILES.includes(rest[0]!)
    },
    offer: {
      name: library.suggestName(was.name),
      hardware: { arch, cpus, memoryMiB, firmware, tpm },
      nics: was.nics.length,
      drives: now.config.drives.map(({ kind, path, format }) => {
        const file = path === null ? undefined : members.get(path)
        return { kind, file: path, format: path === null ? null : format, size: file?.size ?? null }
      }),
      snapshots: snapshots.length,
      remarks: [...remarks],
      licences: [],
      refused: missing === undefined ? null : `“${shown(missing)}” is not in the archive. Export the machine again.`,
    },
  }
}

/** Files of the bundle that the machine cannot do without. */
function pathsInside({ boot, drives }: MachineConfig): string[] {
  const booted = boot.kind === 'kernel' ? [boot.kernel, ...(boot.initrd === null ? [] : [boot.initrd])] : []
  return [...booted, ...drives.flatMap(({ path }) => path ?? [])]
    .filter((path) => !isAbsolutePath(path))
    .map((path) => plainName(path) ?? path)
}

/** The same object where nothing had to be taken out. */
function withoutOutside(config: MachineConfig, remarks: Set<string>): MachineConfig {
  const { boot, drives, sharedFolders } = config
  if (boot.kind === 'kernel' && [boot.kernel, boot.initrd].some((path) => path !== null && isAbsolutePath(path)))
    throw new AppError(
      'unsupported',
      'The machine starts from a kernel that is not in the archive. Copy the kernel into the machine’s folder, and export it again.',
    )
  const outside = drives.filter(({ path }) => path !== null && isAbsolutePath(path))
  for (const { kind, path } of outside)
    remarks.add(
      kind === 'disk'
        ? `The disk “${shown(path!)}” is not in the archive: left out.`
        : `“${shown(path!)}” is not in the archive: the drive is empty.`,
    )
  if (sharedFolders.length > 0) remarks.add(`Shared folders (${shown(sharedFolders.map(({ path }) => path).join(', '))}): left out.`)
  if (outside.length === 0 && sharedFolders.length === 0) return config
  return {
    ...config,
    sharedFolders: [],
    drives: drives.flatMap((drive) => (!outside.includes(drive) ? [drive] : drive.kind === 'disk' ? [] : [{ ...drive, path: null }])),
  }
}

/** The same new identity for all states of a machine; its host name follows with its name. */
function newIdentity(states: readonly MachineConfig[]): (config: MachineConfig) => MachineConfig {
  const id = newId()
  const created = new Date().toISOString()
  const macs = new Map(states.flatMap(({ nics }) => nics.map(({ mac }) => [mac, randomMac()] as const)))
  return (config) => ({ ...config, id, created, nics: config.nics.map((nic) => ({ ...nic, mac: macs.get(nic.mac)! })) })
}

/**
 * Fills the folder of a machine that is being made.
 * @returns its configuration
 * @throws AppError `corrupt` where a disk is not what the machine says, `no-space`, `cancelled`, or the system's reason
 */
export async function fillFromArchive(
  staging: string,
  plan: BundlePlan,
  name: string,
  storage: SharedThread,
  context: TaskContext,
): Promise<MachineConfig> {
  const { archive, snapshots, leaves } = plan
  const taken = [...archive.members].filter(([member]) => member !== CONFIG_FILE && !SNAPSHOT_FILE.test(member) && !leaves(member))
  context.step('Unpacking the machine')
  const files = taken.map(([member, { offset, size, modified }]) => ({
    ...{ name: shown(member), offset, length: size, modified },
    to: join(staging, ...member.split('/')),
  }))
  for (const folder of new Set(files.map(({ to }) => dirname(to)))) await mkdir(folder, { recursive: true })
  await storageJob(storage, context, (calls, job, options) => calls.unpack({ job, path: archive.path, files }, options))
  const isNew = plan.config.id !== archive.config.id
  const config = parseMachineConfig({ ...plan.config, name, ...(isNew ? { boot: withHostName(plan.config.boot, name) } : {}) })
  for (const snapshot of snapshots) {
    const folder = join(staging, 'snapshots', snapshot.id)
    await mkdir(folder, { recursive: true })
    await writeFileAtomic(join(folder, 'snapshot.json'), `${JSON.stringify(snapshot, null, 2)}\n`)
  }
  context.step('Checking the disks')
  await checkDisks(staging, [config, ...snapshots.map((snapshot) => snapshot.config)], storage)
  return config
}

/** @throws AppError `corrupt` for one that is not what the machine says, or that rests on a file which did not come along */
async function checkDisks(staging: string, states: readonly MachineConfig[], storage: SharedThread): Promise<void> {
  const disks = new Map(
    states.flatMap(({ drives }) =>
      drives.flatMap(({ kind, path, format }) => (kind === 'disk' && path !== null ? [[path, format] as const] : [])),
    ),
  )
  for (const [name, format] of disks) {
    const path = await resolveInBundle(staging, name)
    const info = await storage.use(({ rpc }) => rpc.service(storageThread).inspect({ path, format, folders: [] }))
    if (info.problem !== null) throw new AppError('corrupt', `The disk “${shown(name)}” of the archive is not whole: ${info.problem}`)
  }
}
