/**
 * What a machine's snapshots and its present state take on this computer's disk. What several of them share counts once: pages of memory are the oldest
 * snapshot's that has them, and the present state's where none has.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { packRooms, packsOf } from '../../files/pages/memory-packs.ts'
import { roomOf } from '../../files/room.ts'
import { bundlePaths } from '../library/bundle.ts'
import { namedFiles, ownDisks } from './own-disks.ts'
import { snapshotPaths } from './snapshot-files.ts'

export interface SnapshotRooms {
  /** Bytes, by id. */
  snapshots: ReadonlyMap<string, number>
  /** Bytes. */
  current: number
}

/** @param snapshots oldest first */
export async function snapshotRooms(bundle: string, config: MachineConfig, snapshots: readonly Snapshot[]): Promise<SnapshotRooms> {
  const { pages, memory: suspended } = bundlePaths(bundle)
  const packs = await packRooms(pages)
  const rooms = new Map<string, number>()
  const counted = new Set<number>()
  const take = async (paths: readonly string[]): Promise<number> => {
    const stats = await Promise.all(paths.map((path) => stat(path).catch(() => null)))
    let bytes = 0
    for (const one of stats) {
      if (!one || counted.has(one.ino)) continue
      counted.add(one.ino)
      bytes += roomOf(one)
    }
    return bytes
  }
  const disksOf = (state: Pick<MachineConfig, 'drives'>): string[] => ownDisks(state).map(({ path }) => join(bundle, path))
  for (const { id, memory: engine, config: was } of snapshots) {
    const { memory } = snapshotPaths(bundle, id)
    let bytes = await take([memory, ...disksOf(was)])
    // One that cannot be read is told when it is gone back to.
    for (const pack of engine === null ? [] : await packsOf(memory).catch(() => [])) {
      bytes += packs.get(pack) ?? 0
      packs.delete(pack)
    }
    rooms.set(id, bytes)
  }
  const frozen = namedFiles({ drives: [] }, snapshots)
  const own = ownDisks(config).filter(({ path }) => !frozen.has(path))
  const rest = [...packs.values()].reduce((sum, bytes) => sum + bytes, 0)
  return { snapshots: rooms, current: rest + (await take([suspended, ...own.map(({ path }) => join(bundle, path))])) }
}
