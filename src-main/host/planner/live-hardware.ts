/** What can be changed of a machine that runs, from what it was built as. Pure. */
import type { LiveHardware, LiveKind } from '../../../src-shared/model/live-hardware.ts'
import { busOf } from '../../../src-shared/model/disk-bus.ts'
import { placesOf } from '../../../src-shared/model/live-change.ts'
import { HOT_DISKS, isPc, MAX_DRIVES, MAX_NICS, type Drive } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'

/** A kernel needs some to run at all. */
const LEAST_MIB = 64

/**
 * @param state of the machine: a guest that stands still lets go of nothing
 * @param leaving what the guest was asked for in vain
 */
export function liveHardware(spec: MachineSpec, state: 'running' | 'paused', leaving: readonly string[] = []): LiveHardware {
  const { memoryMiB, balloonMiB = memoryMiB, cpus } = spec
  const why = { ...(spec.engine === 'qemu' ? whyOnQemu(spec) : whyOnEmbedded(spec)) }
  if (state === 'paused')
    for (const kind of ['removeDisk', 'removeNic', 'memory'] as const)
      why[kind] ??= 'The machine is paused, and its guest must do this itself. Resume it first.'
  return {
    why,
    memoryMiB: why.memory === null ? { min: Math.min(LEAST_MIB, balloonMiB), max: memoryMiB } : { min: balloonMiB, max: balloonMiB },
    cpus: { min: cpus, max: why.cpus === null ? mostCpus(spec) : cpus },
    leaving: [...leaving],
  }
}

type Why = Record<LiveKind, string | null>

function whyOnEmbedded(spec: MachineSpec): Why {
  const disks = 'The embedded engine’s IDE controller takes and gives back disks only while the machine is off.'
  const nics = 'The embedded engine takes and gives back network cards only while the machine is off.'
  return {
    ...media(spec),
    addDisk: disks,
    removeDisk: disks,
    limits: 'The embedded engine does not limit its disks.',
    growDisk: 'The embedded engine’s disks keep their size while the machine runs.',
    addNic: nics,
    removeNic: nics,
    link: spec.nics.length === 0 ? 'The machine has no network card.' : null,
    memory: 'The embedded engine cannot take memory back from a guest that runs.',
    cpus: 'The embedded engine has one processor.',
    pointer:
      'The embedded engine has one kind of pointer: it is where yours is for guests that know VMware’s mouse, and a mouse for others.',
  }
}

function whyOnQemu(spec: MachineSpec): Why {
  const { qemu, drives, nics } = spec
  const legacy = qemu!.devices === 'legacy'
  const ide = 'This machine has SATA or IDE disks, which can be added and removed only while it is off.'
  const disks = drives.filter(({ kind }) => kind === 'disk')
  return {
    ...media(spec),
    addDisk: legacy ? ide : whyNoMoreDisks(spec),
    removeDisk: disks.length === 0 ? 'The machine has no disk.' : disks.every((disk) => busOf(disk, qemu!.devices) === 'ata') ? ide : null,
    limits: disks.length === 0 ? 'The machine has no disk.' : null,
    growDisk: disks.length === 0 ? 'The machine has no disk.' : null,
    addNic: nics.length >= MAX_NICS ? full(MAX_NICS, 'network cards') : null,
    removeNic: nics.length === 0 ? 'The machine has no network card.' : null,
    link: nics.length === 0 ? 'The machine has no network card.' : null,
    memory: legacy ? 'This machine has older devices, and none by which its guest could give memory back.' : null,
    cpus: whyNoCpus(spec),
    pointer: null,
  }
}

function whyNoMoreDisks({ drives }: MachineSpec): string | null {
  if (drives.length >= MAX_DRIVES) return full(MAX_DRIVES, 'drives')
  const taken = placesOf(drives, 'disk').filter((place) => place < HOT_DISKS)
  return taken.length < HOT_DISKS
    ? null
    : `A machine has places for ${HOT_DISKS} disks that come while it runs, and all are taken. Add more while it is off.`
}

function whyNoCpus(spec: MachineSpec): string | null {
  const { arch, cpus, qemu } = spec
  if (!isPc(arch)) return `QEMU adds processors to PCs only, not to ${arch} machines.`
  if (qemu!.devices === 'legacy') return 'This machine is one for older systems, which take no processors while they run.'
  if (cpus < mostCpus(spec)) return null
  return `The machine has all the processors that it was started with room for (${cpus}).`
}

function mostCpus({ cpus, qemu }: MachineSpec): number {
  return Math.max(cpus, qemu?.maxCpus ?? 1)
}

function media({ drives }: MachineSpec): Pick<Why, 'cdrom' | 'floppy'> {
  const none = (kind: Drive['kind'], name: string): string | null =>
    drives.some((drive) => drive.kind === kind) ? null : `The machine has no ${name}. Add one while it is off.`
  return { cdrom: none('cdrom', 'CD drive'), floppy: none('floppy', 'floppy drive') }
}

function full(most: number, what: string): string {
  return `The machine has ${most} ${what}, the most that there can be.`
}
