/** What is said of a machine's disks: what they take, and what can be done with each now. */
import type { DiskState, DiskWork } from '../../../src-shared/api/disks.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { ImageMeasure } from '../../../src-shared/model/image-info.ts'
import type { LiveHardware } from '../../../src-shared/model/live-hardware.ts'
import type { Drive, MachineConfig } from '../../../src-shared/model/machine.ts'
import { isEditable, type MachineState } from '../../../src-shared/model/machine-state.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { resolveInBundle } from '../library/bundle.ts'
import type { Machine } from '../machines/machine.ts'
import { ownDisks } from '../snapshots/own-disks.ts'
import { readSnapshots } from '../snapshots/snapshot-files.ts'
import type { SharedThread } from '../threads/shared-thread.ts'

export async function diskStates(machine: Machine, config: MachineConfig, storage: SharedThread): Promise<DiskState[]> {
  const { bundle, state } = machine
  // A snapshot that cannot be read holds no disk.
  const snapshots = await readSnapshots(bundle.folder).catch(() => [])
  const { live } = machine.view()
  const disks = config.drives.filter((drive): drive is Drive & { path: string } => drive.kind === 'disk' && drive.path !== null)
  return Promise.all(
    disks.map(async (drive) => {
      const { id, format } = drive
      const path = await resolveInBundle(bundle.folder, drive.path).catch(() => drive.path)
      const looked = isNetworkAddress(path) ? NOT_LOOKED_AT : await look(path, format, storage)
      const why = whyNot({ drive, measure: looked.measure, holder: holderOf(drive, snapshots), state, live })
      return { drive: id, path, format, ...looked, why }
    }),
  )
}

type Looked = Pick<DiskState, 'measure' | 'problem'>

/** Some servers end with their first client, or have time for one alone: nobody connects to a disk on the network just to look. */
const NOT_LOOKED_AT: Looked = { measure: null, problem: null }

function look(path: string, format: DiskFormat, storage: SharedThread): Promise<Looked> {
  return storage
    .use((thread) => thread.rpc.service(storageThread).measure({ path, format }))
    .then(
      (measure) => ({ measure, problem: null }),
      (error: unknown) => ({ measure: null, problem: asAppError(error).toWire() }),
    )
}

export interface DiskFacts {
  drive: Drive & { path: string }
  /** Null: it cannot be looked at. */
  measure: ImageMeasure | null
  /** The label of a snapshot whose own file it is. */
  holder: string | null
  state: MachineState
  live: LiveHardware | null
}

/** Formats that QEMU lets grow under a guest that runs. */
const LIVE_FORMATS: readonly DiskFormat[] = ['raw', 'qcow2']

/** Pure. */
export function whyNot(facts: DiskFacts): Record<DiskWork, string | null> {
  const { drive, measure, holder, state, live } = facts
  const all = (reason: string | null): Record<DiskWork, string | null> => ({
    grow: reason,
    shrink: reason,
    compact: reason,
    check: reason,
    repair: reason,
  })
  if (isNetworkAddress(drive.path)) return all('The disk is on the network: this is its server’s work.')
  if (state === 'suspended')
    return { ...all('The machine is suspended, and goes on with its disk as it is. Resume it and shut it down first.'), check: null }
  if (state === 'broken') return all('The machine’s bundle cannot be read.')
  const held = holder === null ? null : `The snapshot “${holder}” keeps this file as it is. Go back to the snapshot, or take the disk out.`
  if (!isEditable(state)) {
    const off = 'This can be done only while the machine is off.'
    const grow = live
      ? (live.why.growDisk ?? (LIVE_FORMATS.includes(drive.format) ? null : `A ${drive.format} disk grows only while the machine is off.`))
      : off
    return { ...all(off), grow: held ?? (drive.readOnly ? READ_ONLY : grow) }
  }
  const resize =
    held ??
    (drive.readOnly
      ? READ_ONLY
      : measure && !measure.resizable
        ? `Images of the format ${drive.format} keep their size. Convert it to qcow2 first.`
        : null)
  const unknown = measure ? null : 'The disk cannot be looked at.'
  return { grow: resize ?? unknown, shrink: resize ?? unknown, compact: held ?? unknown, check: null, repair: null }
}

const READ_ONLY = 'The disk is read-only.'

function holderOf({ path }: { path: string }, snapshots: readonly Snapshot[]): string | null {
  return snapshots.find(({ config }) => ownDisks(config).some((disk) => disk.path === path))?.label ?? null
}
