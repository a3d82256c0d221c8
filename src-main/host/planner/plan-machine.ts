/**
 * The planner: machine configuration + what was found on this computer -> MachineSpec, or everything that is wrong with it at once. Pure.
 * Each problem names its field as machine.json has it, so that the window shows it where it is mended.
 */
import { posix, win32 } from 'node:path'
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import { busOf, UNSAFE_WARNING } from '../../../src-shared/model/disk-bus.ts'
import { CPUS, isPc, linksUp, type Drive, type MachineConfig, type Nic } from '../../../src-shared/model/machine.ts'
import type { MachineSpec, QemuSpec } from '../../../src-shared/model/machine-spec.ts'
import { chooseEngine, type EngineChoice } from './choose-engine.ts'
import type { PlanFacts } from './facts.ts'
import { planBridges } from './plan-bridge.ts'
import { planBoot, planDrive, planSharedFolder } from './plan-files.ts'
import type { QemuFit } from './qemu-fit.ts'
import { resolveFirmware } from './qemu-firmware.ts'
import { Report } from './report.ts'

/** An image that the storage thread opens for a drive. QEMU opens its own. */
export interface PlannedImage {
  drive: string
  path: string
  format: Drive['format']
  readOnly: boolean
  cache?: Drive['cache']
}

export type Plan = { choice: EngineChoice; warnings: FieldError[] } & (
  { spec: MachineSpec; images: PlannedImage[]; problems: null } | { spec: null; problems: FieldError[] }
)

/** @param suspendedOn the engine whose memory state the machine goes on from */
export function planMachine(config: MachineConfig, facts: PlanFacts, suspendedOn: 'embedded' | 'qemu' | null = null): Plan {
  const choice = chooseEngine(config, facts, suspendedOn)
  const report = new Report()
  for (const { path, message } of choice.problems ?? []) report.problem(path, message)
  const boot = planBoot(config, choice.engine, facts.files, report)
  const drives = config.drives.map((drive, at) => planDrive(drive, `drives.${at}.path`, facts, report))
  const sharedFolders = config.sharedFolders.map((folder, at) => planSharedFolder(folder, at, facts, report))
  checkDriveLimits(config, choice, report)
  const { problems, warnings } = report
  if (problems.length > 0) return { spec: null, choice, problems, warnings }
  const bridges = planBridges(config, choice, facts.bridges ?? new Map(), report)
  const qemu = choice.engine === 'qemu' && !choice.problems ? qemuSpec(config, choice.fit, facts) : null
  const spec: MachineSpec = {
    id: config.id,
    name: config.name,
    engine: choice.engine,
    arch: config.arch,
    cpus: config.cpus,
    memoryMiB: config.memoryMiB,
    firmware: qemu ? null : facts.firmware,
    boot,
    drives,
    nics: config.nics.map((nic) => {
      const bridge = bridges.get(nic.id)
      return { ...planNic(nic, config, choice.engine), ...(bridge && { bridge }) }
    }),
    pointer: config.pointer,
    serialPorts: config.serialPorts,
    sharedFolders,
    logFolder: facts.logFolder,
    qemu,
  }
  return { spec: deepFreeze(spec), images: qemu ? [] : imagesOf(spec), choice, problems: null, warnings }
}

/** A card whose frames Coppice carries. */
export function planNic(nic: Nic, config: MachineConfig, engine: MachineSpec['engine']): MachineSpec['nics'][number] {
  return { id: nic.id, model: nicModel(nic.model, config, engine), mac: nic.mac, linkUp: linksUp(nic) }
}

/** Without virtio at all, the usual card is one that older systems know. */
function nicModel(model: MachineConfig['nics'][number]['model'], { devices }: MachineConfig, engine: MachineSpec['engine']): typeof model {
  if (devices !== 'legacy' || model !== 'virtio') return model
  return engine === 'qemu' ? 'e1000e' : 'ne2k'
}

function checkDriveLimits({ drives }: MachineConfig, choice: EngineChoice, report: Report): void {
  const { engine } = choice
  drives.forEach((drive, at) => {
    const { kind, limits, cache, readOnly } = drive
    // Its emulated disk would have to refuse writes, which no SATA or IDE disk does.
    if (kind === 'disk' && readOnly && choice.engine === 'qemu' && !choice.problems && busOf(drive, choice.fit.devices) === 'ata')
      report.problem(
        `drives.${at}.readOnly`,
        'QEMU has no read-only disks on SATA or IDE. Plug it into virtio or USB, or let it be written to.',
      )
    if (cache === 'unsafe') report.warning(`drives.${at}.cache`, UNSAFE_WARNING)
    if (limits === null) return
    if (kind !== 'disk') report.problem(`drives.${at}.limits`, 'Only disks can be limited. Take the limits away.')
    else if (engine === 'embedded') report.warning(`drives.${at}.limits`, 'The embedded engine does not limit its disks.')
  })
}

function imagesOf({ drives }: MachineSpec): PlannedImage[] {
  return drives.flatMap(({ id, path, format, readOnly, cache }) => (path === null ? [] : [{ drive: id, path, format, readOnly, cache }]))
}

function qemuSpec(config: MachineConfig, fit: QemuFit, { qemu, computer, firmwareFolder }: PlanFacts): QemuSpec {
  const { program, accelerator, machineType, devices, display } = fit
  const { join } = /^[A-Za-z]:|^\\\\/.test(firmwareFolder) ? win32 : posix
  return {
    binary: program.path,
    version: program.version,
    accelerator,
    machineType,
    maxCpus: mostCpus(config, fit, computer.cpus),
    sandbox: program.features.includes('sandbox'),
    devices,
    display,
    firmware: resolveFirmware(config, qemu, firmwareFolder, join),
    tpm: config.tpm && qemu.swtpm !== null ? { swtpm: qemu.swtpm, state: join(firmwareFolder, 'tpm') } : null,
  }
}

/** PCs of today take more processors while they run: as many as the computer has. Others know no such thing. */
function mostCpus(config: MachineConfig, { devices, machineType, program }: QemuFit, computerCpus: number): number {
  if (!isPc(config.arch) || devices === 'legacy') return config.cpus
  const board = program.machineTypes.find(({ name, alias }) => alias === machineType || name === machineType)?.maxCpus ?? CPUS.max
  return Math.max(config.cpus, Math.min(computerCpus, board, CPUS.max))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(deepFreeze)
  }
  return value
}
