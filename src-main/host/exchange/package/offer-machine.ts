/** A machine of a package as it will be here, and how its disks are to be made. */
import type { OfferedDrive, OfferedMachine } from '../../../../src-shared/api/exchange.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import type { DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import { MACHINE_SCHEMA, parseMachineConfig, type Drive, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { storageThread, type ForeignImage } from '../../../../src-shared/threads/storage-thread.ts'
import type { Library } from '../../library/library.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import type { ForeignDrive, ForeignMachine } from '../foreign-machine.ts'
import { draftMachine, type DraftDrive, type Here, type MachineDraft } from '../import-machine.ts'
import { shown } from '../text/remarks.ts'
import type { MachinePackage } from './open-package.ts'
import type { PackageFiles } from './package-files.ts'

/** What a drive's file in the new bundle is made of. */
export type DriveSource = { kind: 'image'; image: ForeignImage; size: number } | { kind: 'new'; size: number } | { kind: 'empty' }

export interface PlannedDrive {
  drive: DraftDrive
  source: DriveSource
  /** In the bundle; null: an empty drive. */
  path: string | null
  /** Of the file in the bundle. */
  format: 'qcow2' | 'raw'
}

/** All but what this computer says of it. */
export type MachineOffer = Omit<OfferedMachine, 'why' | 'problems'>

export interface ImportPlan {
  offer: MachineOffer
  draft: MachineDraft
  drives: PlannedDrive[]
}

/** @throws AppError where the package cannot be read (any more); what is wrong with the machine stands in the offer */
export async function planImport(
  from: MachinePackage,
  machine: ForeignMachine,
  { library, storage, hasNetwork }: { library: Library; storage: SharedThread; hasNetwork: Here['hasNetwork'] },
): Promise<ImportPlan> {
  const draft = draftMachine(machine, { macs: takenMacs(library), hasNetwork })
  const remarks = new Set([...from.remarks, ...draft.losses])
  const drives: PlannedDrive[] = []
  const offered: OfferedDrive[] = []
  let refused: string | null = null
  for (const drive of draft.drives) {
    let source: DriveSource = { kind: 'empty' }
    let format: DiskFormat | null = null
    try {
      const found = await sourceOf(drive, from, storage)
      source = found.source
      format = found.format
      if (source.kind === 'empty' && drive.source.file !== null)
        remarks.add(`“${shown(drive.source.file)}” is not in the package: the ${drive.kind === 'cdrom' ? 'CD' : 'floppy'} drive is empty.`)
    } catch (error) {
      refused ??= asAppError(error).message
    }
    const ending = { disk: 'qcow2', cdrom: 'iso', floppy: 'img' }[drive.kind]
    drives.push({
      ...{ drive, source },
      path: source.kind === 'empty' ? null : `disks/${drive.id}.${ending}`,
      format: drive.kind === 'disk' ? 'qcow2' : 'raw',
    })
    offered.push({ kind: drive.kind, file: drive.source.file, format, size: source.kind === 'empty' ? null : source.size })
  }
  const { arch, cpus, memoryMiB, firmware, tpm, nics, name } = draft.config
  return {
    draft,
    drives,
    offer: {
      name: library.suggestName(name),
      hardware: { arch, cpus, memoryMiB, firmware, tpm },
      nics: nics.length,
      drives: offered,
      snapshots: 0,
      remarks: [...remarks],
      licences: machine.licences,
      refused,
    },
  }
}

export function takenMacs(library: Library): Set<string> {
  return new Set([...library.bundles()].flatMap(({ config }) => config?.nics.map(({ mac }) => mac) ?? []))
}

/** @throws AppError why the drive's image cannot be taken */
async function sourceOf(
  { kind, source }: DraftDrive,
  { files, what }: MachinePackage,
  storage: SharedThread,
): Promise<{ source: DriveSource; format: DiskFormat | null }> {
  if (source.file === null) {
    if (kind !== 'disk' || source.capacity === null) return { source: { kind: 'empty' }, format: null }
    return { source: { kind: 'new', size: source.capacity }, format: null }
  }
  if (source.compression !== null)
    throw new AppError(
      'unsupported',
      `“${shown(source.file)}” of ${what} is compressed as a whole (gzip). Unpack the package with the tool that it comes from, and import that.`,
    )
  const layers = []
  for (const name of [source.file, ...source.parents]) {
    const part = await files.part(name)
    if (part) layers.push(part)
    else if (kind !== 'disk') return { source: { kind: 'empty' }, format: null }
    else throw missing(name, what, files)
  }
  const image: ForeignImage = { layers, format: kind === 'disk' ? null : 'raw', folders: [...files.folders] }
  const found = await storage.use(({ rpc }) => rpc.service(storageThread).lookAt({ image }))
  checkClaim(source, found.format)
  return { source: { kind: 'image', image, size: found.size }, format: found.format }
}

function missing(name: string, what: string, { folders }: PackageFiles): AppError {
  return new AppError(
    'not-found',
    folders.length === 0
      ? `“${shown(name)}”, which a disk needs, is not in ${what}: the archive is not whole. Copy or download it again.`
      : `“${shown(name)}”, which a disk needs, does not lie where ${what} says. Put the file there, and try again.`,
  )
}

/** A file without its format's mark would be taken for a raw disk. */
function checkClaim({ file, format, kind }: ForeignDrive, found: DiskFormat): void {
  if (kind !== 'disk' || found !== 'raw' || format === null || format === 'raw' || format === 'iso') return
  throw new AppError(
    'corrupt',
    `“${shown(file ?? '')}” should be an image of the format ${format}, and is none. Copy or download it again.`,
  )
}

/** The new machine's configuration. */
export function importedConfig({ draft, drives }: ImportPlan, name: string): MachineConfig {
  return parseMachineConfig({
    ...draft.config,
    schema: MACHINE_SCHEMA,
    id: newId(),
    created: new Date().toISOString(),
    name,
    drives: drives.map(({ drive: { id, kind, readOnly, bus }, path, format }): Drive => ({
      id,
      kind,
      path,
      format,
      readOnly,
      limits: null,
      ...(bus && { bus }),
    })),
  })
}
