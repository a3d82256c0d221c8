/** Which of a machine's disks a snapshot freezes, and what goes on from them. Pure. */
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Drive, MachineConfig } from '../../../src-shared/model/machine.ts'
import { isAbsolutePath } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'

/** A disk whose image is the machine's alone, and which it may write to. */
export type OwnDisk = Drive & { path: string }

export function ownDisks({ drives }: Pick<MachineConfig, 'drives'>): OwnDisk[] {
  return drives.filter((drive): drive is OwnDisk => isWritableDisk(drive) && !isAbsolutePath(drive.path))
}

function isWritableDisk(drive: Drive): drive is OwnDisk {
  return drive.kind === 'disk' && !drive.readOnly && drive.path !== null
}

/** Why no snapshot of this machine can be taken, as sentences. */
export function obstacles({ drives }: Pick<MachineConfig, 'drives'>): string[] {
  return drives.filter(isWritableDisk).flatMap(({ id, path }) => {
    if (isInDisksFolder(path)) return []
    if (isNetworkAddress(path))
      return [
        `The disk “${id}” is on the network (“${path}”), where a snapshot could not keep it from being changed. Make it read-only, or take it out.`,
      ]
    return [
      isAbsolutePath(path)
        ? `The disk “${id}” lies outside of the machine’s folder (“${path}”), so that a snapshot could not keep it from being changed. Make it read-only, or make the machine anew with a copy of the disk.`
        : `The disk “${id}” (“${path}”) does not lie in the folder “disks” of the machine’s folder. Move it there, or make it read-only.`,
    ]
  })
}

/**
 * What a snapshot of this machine does not keep, or does with it, as sentences.
 * @param engine what runs it, or would
 * @param runs its guest may have shared folders mounted
 */
export function leftOut(
  { drives, sharedFolders }: Pick<MachineConfig, 'drives' | 'sharedFolders'>,
  engine: MachineSpec['engine'] | null,
  runs: boolean,
): string[] {
  const said: string[] = []
  const names = sharedFolders.map(({ tag }) => `“${tag}”`).join(', ')
  if (names !== '')
    said.push(`Shared folders (${names}) are not in it: their files stay as they are on this computer, also when you go back.`)
  if (names !== '' && engine === 'qemu' && runs)
    said.push(
      'QEMU keeps no memory of a guest that has shared folders mounted: the agent in the guest unmounts them for that long. Where it cannot, the snapshot fails, and the machine goes on.',
    )
  const elsewhere = drives.flatMap(({ path, kind, readOnly }) =>
    path !== null && (kind !== 'disk' || readOnly) && isAbsolutePath(path) ? [`“${path}”`] : [],
  )
  if (elsewhere.length > 0)
    said.push(`What lies elsewhere is not in it, and must still be there when you go back: ${elsewhere.join(', ')}.`)
  if (drives.some(({ kind, path, readOnly }) => kind === 'floppy' && path !== null && !readOnly))
    said.push('Floppy disks are not in it: what is written to them stays written.')
  return said
}

/** Files there are the machine's to write, merge and delete; others are not. @param path of a drive */
export function isInDisksFolder(path: string): boolean {
  return /^disks\/[^/\\]+$/.test(path)
}

/** "disks/disk0.qcow2" goes on as "disks/disk0.1a2b3c4d.qcow2". */
const OVERLAY = /\.[0-9a-f]{8}\.qcow2$/

/** @param id names it apart from all others: a UUID's beginning is used */
export function overlayPath(frozen: string, id: string): string {
  const stem = frozen.replace(OVERLAY, '').replace(/\.[A-Za-z0-9]{1,8}$/, '')
  return `${stem}.${id.replaceAll('-', '').slice(0, 8)}.qcow2`
}

export function isOverlay(path: string): boolean {
  return OVERLAY.test(path)
}

/** The machine's drives, with its own disks going on in new files. */
export function withOverlays(drives: readonly Drive[], overlays: ReadonlyMap<string, string>): Drive[] {
  return drives.map((drive) => {
    const path = overlays.get(drive.id)
    return path === undefined ? drive : { ...drive, path, format: 'qcow2' }
  })
}

/** The files that somebody named: frozen by a snapshot, or written by the machine now. */
export function namedFiles(config: Pick<MachineConfig, 'drives'>, snapshots: readonly Snapshot[]): Set<string> {
  return new Set([config, ...snapshots.map((snapshot) => snapshot.config)].flatMap((state) => ownDisks(state).map(({ path }) => path)))
}
