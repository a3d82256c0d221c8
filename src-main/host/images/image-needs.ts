/**
 * Which machines need which image files: for a drive, below a disk, or for a snapshot of either.
 *
 * Theory of operation: machines usually have their files in their own bundle, and linked clones share files by second names, so that nobody needs anybody.
 * What is left is real: a drive used where it lies, in another machine's bundle say, and an image that names one elsewhere as what it rests on. Nobody
 * notes such a need anywhere; it is found by following every disk of every machine and of its snapshots down to its last file. Headers alone are read for
 * that, without locks, so that no start of a machine finds its disk in use. A file below a disk that was followed already is not followed again: a
 * machine with hundreds of snapshots costs about as many looks as it has branches.
 */
import { realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { dependentWords, type Dependent } from '../../../src-shared/model/dependent.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { resolveInBundle } from '../library/bundle.ts'
import { mapLimit } from '../library/map-limit.ts'
import type { Machine } from '../machines/machine.ts'
import { readSnapshots } from '../snapshots/snapshot-files.ts'

/** Machines that are looked at at once. */
const READERS = 16
/** Needs that a sentence names. */
const MAX_NAMED = 5

export type NeedingMachine = Pick<Machine, 'id' | 'bundle'>

export interface ImageNeedsParts {
  machines(): Promise<readonly NeedingMachine[]>
  /** Real paths of the files that an image rests on, as far as they are found; locks nothing. */
  restsOn(image: { path: string; format: DiskFormat | null }): Promise<readonly string[]>
}

export interface ImageNeed {
  machine: NeedingMachine
  /** Real path of the file. */
  file: string
  how: Dependent['how']
  /** The label of the snapshot; null: the machine as it is now. */
  snapshot: string | null
  /** Real path of the drive's own file: `file`, or what rests on it. */
  drive: string
}

export class ImageNeeds {
  #parts: ImageNeedsParts

  constructor(parts: ImageNeedsParts) {
    this.#parts = parts
  }

  /** What other machines need of what lies in this one's bundle; of each machine's need of a file, the first one. */
  async dependentsOf({ id, bundle }: NeedingMachine): Promise<Dependent[]> {
    const folder = await realpath(bundle.folder).catch(() => null)
    if (folder === null) return []
    const found = new Map<string, Dependent>()
    const drives = new Set<string>()
    for (const { machine, file, how, snapshot, drive } of await this.#needs((other) => other.id !== id)) {
      const way = wayInto(folder, file)
      if (way === null) continue
      // Of what a drive is made of, the newest file alone.
      const disk = `${machine.id}/${drive}`
      if (drives.has(disk)) continue
      drives.add(disk)
      const key = `${machine.id}/${way}`
      const { name } = machine.bundle
      if (!found.has(key)) found.set(key, { machine: { id: machine.id, name }, file: way.split(sep).join('/'), how, snapshot })
    }
    return [...found.values()]
  }

  /** Real paths of the files in a bundle that other machines need. */
  async neededElsewhere(bundle: string): Promise<Set<string>> {
    const folder = await realpath(bundle)
    const needs = await this.#needs((other) => other.bundle.folder !== bundle)
    return new Set(needs.flatMap(({ file }) => (wayInto(folder, file) === null ? [] : [file])))
  }

  /** Everything that needs a file, by whatever name. */
  async of(path: string): Promise<ImageNeed[]> {
    const wanted = await identityOf(path)
    if (wanted === null) return []
    const needs = await this.#needs(() => true)
    const identities = new Map(
      await Promise.all([...new Set(needs.map(({ file }) => file))].map(async (file) => [file, await identityOf(file)] as const)),
    )
    return needs.filter(({ file }) => identities.get(file) === wanted)
  }

  async #needs(which: (machine: NeedingMachine) => boolean): Promise<ImageNeed[]> {
    const machines = (await this.#parts.machines()).filter(which)
    return (await mapLimit(machines, READERS, (machine) => this.#needsOf(machine))).flat()
  }

  async #needsOf(machine: NeedingMachine): Promise<ImageNeed[]> {
    const { folder, config } = machine.bundle
    // Without its snapshots it needs what can be read of it.
    const snapshots = await readSnapshots(folder).catch(() => [])
    const states: { config: MachineConfig; snapshot: string | null }[] = [
      ...(config ? [{ config, snapshot: null }] : []),
      // The newest first: they rest on the others.
      ...snapshots.toReversed().map((one) => ({ config: one.config, snapshot: one.label })),
    ]
    const needs: ImageNeed[] = []
    const followed = new Set<string>()
    for (const { config: state, snapshot } of states)
      for (const { path, format, kind } of state.drives) {
        const file =
          path === null
            ? null
            : await resolveInBundle(folder, path)
                .then((found) => realpath(found))
                .catch(() => null)
        if (file === null) continue
        needs.push({ machine, file, how: 'drive', snapshot, drive: file })
        if (kind !== 'disk' || format === 'raw' || followed.has(file)) continue
        for (const below of await this.#parts.restsOn({ path: file, format })) {
          followed.add(below)
          needs.push({ machine, file: below, how: 'below', snapshot, drive: file })
        }
      }
    return needs
  }
}

/** Null: it lies elsewhere. */
function wayInto(folder: string, file: string): string | null {
  const way = relative(folder, file)
  return way === '' || isAbsolute(way) || way.split(sep)[0] === '..' ? null : way
}

async function identityOf(path: string): Promise<string | null> {
  const stats = await stat(path, { bigint: true }).catch(() => null)
  return stats && `${stats.dev}:${stats.ino}`
}

/** @throws AppError `wrong-state` where there are any */
export function refuseNeeded(name: string, dependents: readonly Dependent[]): void {
  if (dependents.length === 0) return
  const few = dependents.slice(0, MAX_NAMED).map(dependentWords)
  const more = dependents.length > MAX_NAMED ? [`and so on, ${dependents.length} in all`] : []
  throw new AppError('wrong-state', `Other machines need files of “${name}”, and would be without them: ${[...few, ...more].join('; ')}.`, {
    subject: name,
  })
}
