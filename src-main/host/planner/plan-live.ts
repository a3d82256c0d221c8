/**
 * From one configuration to the next while the machine runs: what is to be done, step by step; or every reason why not, each at its field.
 * Pure. What cannot be undone comes last, and what frees a place comes before what takes one.
 */
import { isDeepStrictEqual } from 'node:util'
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import { busOf } from '../../../src-shared/model/disk-bus.ts'
import { changedSpec, placed, type LiveChange } from '../../../src-shared/model/live-change.ts'
import type { LiveHardware, LiveKind } from '../../../src-shared/model/live-hardware.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { DRIVE_WORDS } from './check-limits.ts'
import type { PlannedImage } from './plan-machine.ts'
import { Report } from './report.ts'

export interface LiveStep {
  change: LiveChange
  /** Null: it stays. */
  undo: LiveChange | null
}

export type LivePlan = { steps: LiveStep[]; problems: null } | { steps: null; problems: FieldError[] }

export interface LiveWish {
  before: MachineConfig
  next: MachineConfig
  /** As it runs. */
  running: MachineSpec
  live: LiveHardware
  /** Of `next`, in its order. */
  drives: MachineSpec['drives']
  nics: MachineSpec['nics']
}

/** Hardware that is built once. */
const FIXED = ['engine', 'arch', 'firmware', 'tpm', 'devices', 'display', 'boot', 'serialPorts', 'sharedFolders'] as const

const OFF = 'This can change only while the machine is off.'
const ORDER: readonly LiveChange['kind'][] = [
  ...(['insert', 'eject', 'link', 'limits', 'growDisk', 'pointer', 'memory'] as const),
  ...(['removeNic', 'removeDisk', 'addDisk', 'addNic', 'cpus'] as const),
]

export function planLive(wish: LiveWish): LivePlan {
  const report = new Report()
  for (const field of FIXED) if (!isDeepStrictEqual(wish.before[field], wish.next[field])) report.problem(field, OFF)
  const changes = [...driveChanges(wish, report), ...nicChanges(wish, report), ...sizes(wish, report)]
  if (report.problems.length > 0) return { steps: null, problems: report.problems }
  return { steps: withUndo(changes, wish.running), problems: null }
}

/** What the storage thread opens for a change, on an engine that takes its drives' bytes from there. */
export function imageOf(change: LiveChange, { engine }: Pick<MachineSpec, 'engine'>): PlannedImage | null {
  if (engine !== 'embedded' || change.kind !== 'insert') return null
  const { drive, path, readOnly } = change
  return { drive, path, format: 'raw', readOnly }
}

function driveChanges({ next, running, live, drives }: LiveWish, report: Report): LiveChange[] {
  const changes: LiveChange[] = []
  const kept = new Set<string>()
  next.drives.forEach((drive, at) => {
    kept.add(drive.id)
    const field = `drives.${at}`
    const planned = drives[at]!
    const now = running.drives.find(({ id }) => id === drive.id)
    if (!now) {
      if (drive.kind !== 'disk') report.problem(field, `A ${DRIVE_WORDS[drive.kind]} can be added only while the machine is off.`)
      else if (pluggable(planned, running, field, live, report)) changes.push({ kind: 'addDisk', drive: planned })
      return
    }
    if (now.kind !== drive.kind) return report.problem(`${field}.kind`, OFF)
    if (drive.kind === 'disk') return void changes.push(...diskChanges(now, planned, field, live, report))
    if (now.path === planned.path && now.readOnly === planned.readOnly) return
    if (!allowed(drive.kind, `${field}.path`, live, report)) return
    if (planned.path === null) changes.push({ kind: 'eject', drive: drive.id })
    else changes.push({ kind: 'insert', drive: drive.id, path: planned.path, readOnly: planned.readOnly })
  })
  for (const { id, kind } of running.drives) {
    if (kept.has(id)) continue
    const drive = running.drives.find((one) => one.id === id)!
    if (kind !== 'disk') report.problem('drives', `The ${DRIVE_WORDS[kind]} “${id}” can be taken out only while the machine is off.`)
    else if (isFixed(drive, running))
      report.problem('drives', `The disk “${id}” is on SATA or IDE: it can be taken out only while the machine is off.`)
    else if (allowed('removeDisk', 'drives', live, report)) changes.push({ kind: 'removeDisk', drive: id })
  }
  return changes
}

type SpecDrive = MachineSpec['drives'][number]

/** SATA and IDE take and give back disks only while the machine is off. */
function isFixed(drive: SpecDrive, { qemu }: MachineSpec): boolean {
  return qemu !== null && busOf(drive, qemu.devices) === 'ata'
}

function pluggable(drive: SpecDrive, running: MachineSpec, field: string, live: LiveHardware, report: Report): boolean {
  const { qemu, drives } = running
  if (!qemu || drive.bus === undefined) return allowed('addDisk', field, live, report)
  const hasUsb = drives.some((one) => one.kind === 'disk' && busOf(one, qemu.devices) === 'usb')
  if (drive.bus === 'ata')
    report.problem(`${field}.bus`, 'A SATA or IDE disk can be added only while the machine is off. Choose virtio, which most systems know.')
  else if (drive.bus === 'usb' && !hasUsb)
    report.problem(`${field}.bus`, 'The machine was started without a controller for USB disks. Add its first one while it is off.')
  else if (qemu.devices === 'legacy')
    report.problem(`${field}.bus`, 'This machine has older devices, and no place for more disks while it runs.')
  else return allowed('addDisk', field, live, report)
  return false
}

function diskChanges(now: SpecDrive, planned: SpecDrive, field: string, live: LiveHardware, report: Report): LiveChange[] {
  if (now.path !== planned.path)
    report.problem(
      `${field}.path`,
      'A disk’s image can change only while the machine is off. Remove the disk, then add one with another id.',
    )
  for (const name of ['readOnly', 'bus', 'cache'] as const) if (now[name] !== planned[name]) report.problem(`${field}.${name}`, OFF)
  if (isDeepStrictEqual(now.limits, planned.limits) || !allowed('limits', `${field}.limits`, live, report)) return []
  return [{ kind: 'limits', drive: now.id, limits: planned.limits }]
}

function nicChanges({ running, live, nics }: LiveWish, report: Report): LiveChange[] {
  const changes: LiveChange[] = []
  nics.forEach((nic, at) => {
    const field = `nics.${at}`
    const now = running.nics.find(({ id }) => id === nic.id)
    if (!now) {
      if (allowed('addNic', field, live, report)) changes.push({ kind: 'addNic', nic })
      return
    }
    if (now.model !== nic.model) report.problem(`${field}.model`, OFF)
    if (now.mac !== nic.mac) report.problem(`${field}.mac`, OFF)
    const up = nic.linkUp === true
    if ((now.linkUp === true) !== up && allowed('link', `${field}.link`, live, report)) changes.push({ kind: 'link', nic: nic.id, up })
  })
  for (const { id } of running.nics)
    if (!nics.some((nic) => nic.id === id) && allowed('removeNic', 'nics', live, report)) changes.push({ kind: 'removeNic', nic: id })
  return changes
}

/** Memory, processors and pointer. */
function sizes({ next, running, live }: LiveWish, report: Report): LiveChange[] {
  const changes: LiveChange[] = []
  const { memoryMiB, cpus, pointer } = next
  if (memoryMiB !== memoryOf(running) && allowed('memory', 'memoryMiB', live, report)) {
    const { min, max } = live.memoryMiB
    if (memoryMiB > max) report.problem('memoryMiB', `The machine was started with ${max} MiB. Give it more while it is off.`)
    else if (memoryMiB < min) report.problem('memoryMiB', `A machine that runs needs at least ${min} MiB. Give it less while it is off.`)
    else changes.push({ kind: 'memory', memoryMiB })
  }
  if (cpus < running.cpus) report.problem('cpus', 'Processors can be taken away only while the machine is off.')
  else if (cpus > running.cpus && allowed('cpus', 'cpus', live, report)) {
    if (cpus > live.cpus.max) report.problem('cpus', `This machine can have at most ${live.cpus.max} processors while it runs.`)
    else changes.push({ kind: 'cpus', cpus })
  }
  if (pointer !== (running.pointer ?? 'tablet') && allowed('pointer', 'pointer', live, report)) changes.push({ kind: 'pointer', pointer })
  return changes
}

/** What the guest may use of its memory. */
export function memoryOf({ memoryMiB, balloonMiB }: Pick<MachineSpec, 'memoryMiB' | 'balloonMiB'>): number {
  return balloonMiB ?? memoryMiB
}

function allowed(kind: LiveKind, field: string, { why }: LiveHardware, report: Report): boolean {
  const reason = why[kind]
  if (reason !== null) report.problem(field, reason)
  return reason === null
}

function withUndo(changes: readonly LiveChange[], running: MachineSpec): LiveStep[] {
  const sorted = [...changes].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
  let spec = running
  return sorted.map((change) => {
    const undo = opposite(change, spec)
    spec = changedSpec(spec, change)
    return { change, undo }
  })
}

/** @param spec before the change */
function opposite(change: LiveChange, spec: MachineSpec): LiveChange | null {
  const drive = (id: string): SpecDrive => spec.drives.find((one) => one.id === id)!
  switch (change.kind) {
    case 'insert':
    case 'eject': {
      const { id, path, readOnly } = drive(change.drive)
      return path === null ? { kind: 'eject', drive: id } : { kind: 'insert', drive: id, path, readOnly }
    }
    case 'limits':
      return { ...change, limits: drive(change.drive).limits }
    case 'addDisk':
      return { kind: 'removeDisk', drive: change.drive.id }
    case 'removeDisk':
      return { kind: 'addDisk', drive: placed(spec.drives).find(({ id }) => id === change.drive)! }
    case 'addNic':
      return { kind: 'removeNic', nic: change.nic.id }
    case 'removeNic': {
      // What QEMU joined itself comes back as a card of Coppice's.
      const { bridge: _, ...nic } = placed(spec.nics).find(({ id }) => id === change.nic)!
      return { kind: 'addNic', nic }
    }
    case 'link':
      return { ...change, up: !change.up }
    case 'memory':
      return { ...change, memoryMiB: memoryOf(spec) }
    case 'cpus':
    case 'growDisk':
      return null
    case 'pointer':
      return { ...change, pointer: spec.pointer ?? 'tablet' }
  }
}
