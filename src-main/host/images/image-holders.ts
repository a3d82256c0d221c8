/**
 * Which machines have an image, and what that forbids.
 *
 * Theory of operation: the storage thread locks what it opens, but QEMU opens its images itself and knows nothing of those locks; and no lock speaks of a
 * machine that is off or suspended. So the machines themselves are asked, by what their drives lead to (device and inode: links and other spellings of a
 * path are seen). What runs has its images for itself, but for those that it only reads, which others may read too. What is suspended goes on with its
 * disks as they are. What is off is held: it cannot start until the work on its image is done.
 *
 * What a disk rests on counts as read by its machine, where QEMU runs it or it is suspended. Of machines that the embedded engine runs, the thread's locks
 * see to that; of those that are off nobody asks, because to look costs a lock, which a start at that moment would find.
 */
import { stat } from 'node:fs/promises'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { isActive, STATE_WORDS } from '../../../src-shared/model/machine-state.ts'
import { resolveInBundle } from '../library/bundle.ts'
import { mapLimit } from '../library/map-limit.ts'
import type { Machine } from '../machines/machine.ts'

/** Machines whose drives are looked at at once. */
const READERS = 32

export type HoldingMachine = Pick<Machine, 'id' | 'bundle' | 'state' | 'session' | 'hold'>

export interface ImageUse {
  path: string
  /** Whether the file is changed or replaced. */
  write: boolean
}

interface HeldDrive {
  path: string
  /** Null: not declared. */
  format: DiskFormat | null
  readOnly: boolean
}

interface Holder {
  machine: HoldingMachine
  use: ImageUse
  drive: HeldDrive
}

export interface HolderParts {
  /** All that are known, once what runs from before is. */
  machines(): Promise<readonly HoldingMachine[]>
  /** Paths of the files that an image rests on, as far as they are found. */
  layersOf(image: { path: string; format: DiskFormat }): Promise<readonly string[]>
}

export class ImageHolders {
  #parts: HolderParts

  constructor(parts: HolderParts) {
    this.#parts = parts
  }

  /** The format that a machine declares its image to have; null where no machine has it. */
  async declaredFormat(path: string): Promise<DiskFormat | null> {
    const holders = await this.#holdersOf([{ path, write: false }])
    return holders.find(({ drive }) => drive.format !== null)?.drive.format ?? null
  }

  /**
   * @returns machines that must not start meanwhile, each once
   * @throws AppError `busy`, `wrong-state` where one forbids the use now
   */
  async check(uses: readonly ImageUse[]): Promise<HoldingMachine[]> {
    const holders = await this.#holdersOf(uses)
    for (const holder of holders) refuse(holder)
    return [...new Set(holders.filter(wouldDisturb).map(({ machine }) => machine))].filter(({ state }) => !isActive(state))
  }

  /**
   * Runs `work` while no machine that has one of the images can start.
   * @param doing for those refused: "having a disk image compacted"
   * @throws AppError as `check`, or what `work` throws
   */
  async hold<T>(uses: readonly ImageUse[], doing: string, work: () => Promise<T>): Promise<T> {
    const held = await this.check(uses)
    const inside = held.reduceRight<() => Promise<T>>(
      (next, machine) => () => machine.hold(doing, next),
      async () => {
        // What was under way had its turn first.
        await this.check(uses)
        return work()
      },
    )
    return this.naming(inside)
  }

  /** The storage thread knows that an image is in use, but not by whom: of this one, or of one that it rests on. */
  async naming<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'busy' || error.details.subject === undefined) throw error
      const holders = await this.#holdersOf([{ path: error.details.subject, write: true }])
      const holder = holders.find(({ machine }) => isActive(machine.state))
      throw holder ? inUse(holder) : error
    }
  }

  async #holdersOf(uses: readonly ImageUse[]): Promise<Holder[]> {
    const found = await Promise.all(uses.map(async (use) => ({ use, identity: await identityOf(use.path) })))
    const wanted = found.filter(({ identity }) => identity !== null)
    if (wanted.length === 0) return []
    const holders = await mapLimit(await this.#parts.machines(), READERS, async (machine) => {
      const files = await this.#filesOf(machine)
      return files.flatMap(({ drive, identity }) =>
        wanted.filter((one) => one.identity === identity).map(({ use }): Holder => ({ machine, use, drive })),
      )
    })
    return holders.flat()
  }

  async #filesOf(machine: HoldingMachine): Promise<{ drive: HeldDrive; identity: string | null }[]> {
    const drives = await drivesOf(machine)
    const asked = machine.session?.kind === 'qemu' || machine.state === 'suspended'
    const layers = asked ? await Promise.all(drives.map((drive) => this.#layersOf(drive))) : []
    return Promise.all([...drives, ...layers.flat()].map(async (drive) => ({ drive, identity: await identityOf(drive.path) })))
  }

  async #layersOf({ path, format }: HeldDrive): Promise<HeldDrive[]> {
    if (format === null || format === 'raw') return []
    const layers = await this.#parts.layersOf({ path, format })
    return layers.map((layer) => ({ path: layer, format: null, readOnly: true }))
  }
}

/** Any number may read. */
function wouldDisturb({ use, drive }: Holder): boolean {
  return use.write || !drive.readOnly
}

function refuse(holder: Holder): void {
  const { machine, use } = holder
  if (isActive(machine.state) && wouldDisturb(holder)) throw inUse(holder)
  if (machine.state === 'suspended' && use.write)
    throw new AppError(
      'wrong-state',
      `“${use.path}” belongs to “${machine.bundle.name}”, which is suspended and goes on with its disk as it is. Start it and shut it down, or discard its suspended state, and try again.`,
      { subject: use.path },
    )
}

function inUse({ machine, use }: Holder): AppError {
  const state = STATE_WORDS[machine.state].toLowerCase()
  return new AppError(
    'busy',
    `“${use.path}” is in use by the machine “${machine.bundle.name}”, which is ${state}. Shut it down and try again.`,
    { subject: use.path },
  )
}

/** What runs says itself what it has; its configuration may be unreadable by now. */
async function drivesOf({ bundle, session }: HoldingMachine): Promise<HeldDrive[]> {
  const drives: readonly { kind: string; path: string | null; format: DiskFormat; readOnly: boolean }[] =
    session?.spec?.drives ?? bundle.config?.drives ?? []
  const held = drives.map(async ({ kind, path, format, readOnly }) => {
    const absolute = path === null ? null : await resolveInBundle(bundle.folder, path).catch(() => null)
    return absolute === null ? [] : [{ path: absolute, format, readOnly: readOnly || kind === 'cdrom' }]
  })
  return (await Promise.all(held)).flat()
}

/** Null: there is nothing. */
async function identityOf(path: string): Promise<string | null> {
  const stats = await stat(path, { bigint: true }).catch(() => null)
  return stats && `${stats.dev}:${stats.ino}`
}
