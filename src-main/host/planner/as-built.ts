/** A machine that was changed while it ran is not quite what its configuration would build: what it is counts. Pure. */
import { isDeepStrictEqual } from 'node:util'
import { linksUp, type Drive, type MachineConfig, type Nic } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { memoryOf } from './plan-live.ts'

/**
 * The planned spec of a machine that goes on from a memory state, with every part where the guest knows it.
 * @param was as it was suspended
 */
export function asSuspended(planned: MachineSpec, was: MachineSpec): MachineSpec {
  const placeOf = (others: readonly { id: string; place?: number | undefined }[], id: string): { place?: number } => {
    const place = others.find((other) => other.id === id)?.place
    return place === undefined ? {} : { place }
  }
  return {
    ...planned,
    memoryMiB: was.memoryMiB,
    ...(was.balloonMiB === undefined ? {} : { balloonMiB: was.balloonMiB }),
    drives: planned.drives.map((drive) => ({ ...drive, ...placeOf(was.drives, drive.id) })),
    nics: planned.nics.map((nic) => ({ ...nic, ...placeOf(was.nics, nic.id) })),
    qemu: planned.qemu && { ...planned.qemu, maxCpus: was.qemu?.maxCpus ?? planned.qemu.maxCpus },
  }
}

/**
 * The configuration in line with what runs: the guest ejected a CD or let go of a disk, or a host ended in between.
 * @param absolute of the configuration's paths
 */
export function asRuns(config: MachineConfig, spec: MachineSpec, absolute: (path: string) => string): MachineConfig {
  const drives = config.drives.flatMap((drive) => {
    const now = spec.drives.find(({ id }) => id === drive.id)
    return now ? [driveAsRuns(drive, now, absolute)] : []
  })
  const nics = config.nics.flatMap((nic) => {
    const now = spec.nics.find(({ id }) => id === nic.id)
    return now ? [nicAsRuns(nic, now)] : []
  })
  const isNew = ({ id }: { id: string }, known: readonly { id: string }[]): boolean => !known.some((one) => one.id === id)
  const next: MachineConfig = {
    ...config,
    cpus: spec.cpus,
    memoryMiB: memoryOf(spec),
    pointer: spec.pointer ?? 'tablet',
    drives: [...drives, ...spec.drives.filter((drive) => isNew(drive, config.drives)).map(newDrive)],
    nics: [...nics, ...spec.nics.filter((nic) => isNew(nic, config.nics)).map(newNic)],
  }
  return isDeepStrictEqual(next, config) ? config : next
}

function driveAsRuns(drive: Drive, now: MachineSpec['drives'][number], absolute: (path: string) => string): Drive {
  const same = (drive.path === null ? null : absolute(drive.path)) === now.path
  const path = same ? drive.path : now.path
  // A CD is read-only whatever is said.
  const readOnly = drive.kind === 'cdrom' ? drive.readOnly : now.readOnly
  return { ...drive, path, readOnly, limits: now.limits }
}

function newDrive({ id, kind, path, format, readOnly, limits, bus, cache }: MachineSpec['drives'][number]): Drive {
  return { id, kind, path, format, readOnly, limits, ...(bus && { bus }), ...(cache && { cache }) }
}

/** The model stays: it may stand for another one. */
function nicAsRuns(nic: Nic, { linkUp = false }: MachineSpec['nics'][number]): Nic {
  return linksUp(nic) === linkUp ? nic : { ...nic, link: linkUp ? 'up' : 'down' }
}

function newNic({ id, model, mac, linkUp = false }: MachineSpec['nics'][number]): Nic {
  return { id, model, mac, link: linkUp ? 'up' : 'down', network: null }
}
