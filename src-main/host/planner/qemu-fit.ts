/** Whether the QEMU of this computer can run a machine, and with which of its programs, boards and devices. Pure. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { QemuFacts, QemuFeature, QemuProgram } from '../../../src-shared/model/engine-facts.ts'
import type { EngineLimits } from '../../../src-shared/model/engine-limits.ts'
import {
  ARCHES,
  CPUS,
  isPc,
  MAX_DRIVES,
  MAX_NICS,
  MEMORY_MIB,
  NIC_MODELS,
  SERIAL_PORTS,
  type MachineConfig,
  type NicModel,
} from '../../../src-shared/model/machine.ts'
import type { Accelerator, QemuSpec } from '../../../src-shared/model/machine-spec.ts'
import { checkLimits } from './check-limits.ts'
import type { EngineFacts } from './facts.ts'
import { diskProblems } from './qemu-disks.ts'
import { firmwareProblem } from './qemu-firmware.ts'

/** From this version on, network cards come back after their switch was gone (`-netdev stream`), which Coppice's need. */
const OLDEST = [7, 2] as const

/** MiB that a PC without 64-bit mode can address (PAE, 36 bits). */
const MOST_MIB_32_BIT = 64 * 1024

/** What QEMU would make of a machine. */
export interface QemuFit {
  program: QemuProgram
  accelerator: Accelerator
  machineType: string
  devices: 'modern' | 'legacy'
  display: QemuSpec['display']
}

export type QemuVerdict = { fit: QemuFit; problems: null } | { fit: null; problems: FieldError[] }

/** Every reason why not, at its field; or what it would be. */
export function fitQemu(config: MachineConfig, { qemu, computer }: EngineFacts): QemuVerdict {
  const refuse = (path: string, message: string): QemuVerdict => ({ fit: null, problems: [{ path, message }] })
  if (!qemu.found) return refuse('engine', 'QEMU was not found on this computer. Install it, or choose another engine.')
  const program = programFor(config, qemu)
  if (!program) {
    const has = qemu.programs.map(({ arch }) => arch).join(', ')
    return refuse('arch', `The QEMU of this computer does not run ${config.arch} systems (it runs ${has}). Install its part for them.`)
  }
  if (isOlder(program.version))
    return refuse('engine', `QEMU ${program.version} is too old: Coppice needs ${OLDEST.join('.')} or newer. Update QEMU.`)
  const pc = isPc(config.arch)
  const devices = config.devices === 'legacy' ? 'legacy' : 'modern'
  const type = boardFor(config, program)
  const problems = checkLimits(config, limitsOf(config, program, type?.maxCpus ?? 1), computer)
  const add = (path: string, message: string): void => void problems.push({ path, message })
  if (!type) add('arch', `${program.path} has no board of the type ${boardName(config)}.`)
  if (!pc && devices === 'legacy') add('devices', `There are no older devices for ${config.arch} systems. Leave the devices to Coppice.`)
  const display = displayFor(config, program)
  if (display === null) add('display', missingDisplay(config))
  for (const [path, what] of missingFeatures(config, program)) add(path, `${program.path} was built without ${what}.`)
  problems.push(...diskProblems(config, program, devices, type?.alias ?? type?.name ?? ''))
  if (config.sharedFolders.length > 0 && !program.features.includes('shared-folders'))
    add(
      'sharedFolders',
      `${program.path} cannot share folders: it was built without 9p, which QEMU has not on Windows. Remove the shared folders, or let the embedded engine run the machine.`,
    )
  if (config.tpm && qemu.swtpm === null)
    add('tpm', 'A TPM needs the program swtpm, which was not found on this computer. Install it, or leave the TPM away.')
  else if (config.tpm && !program.devices.includes(pc ? 'tpm-tis' : 'tpm-tis-device'))
    add('tpm', `${program.path} has no TPM for this machine.`)
  const firmware = firmwareProblem(config, qemu)
  if (firmware !== null) add('firmware', firmware)
  if (problems.length > 0 || !type || display === null) return { fit: null, problems }
  return {
    fit: { program, accelerator: acceleratorFor(config, qemu), machineType: type.alias ?? type.name, devices, display },
    problems: null,
  }
}

/** The program for 64-bit PCs runs 32-bit ones as well. */
function programFor({ arch }: MachineConfig, { programs }: QemuFacts): QemuProgram | null {
  const find = (wanted: MachineConfig['arch']): QemuProgram | undefined => programs.find((program) => program.arch === wanted)
  return find(arch) ?? (arch === 'i386' ? find('x86_64') : undefined) ?? null
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

/** The best that works for these guests. Software always does. */
export function acceleratorFor({ arch }: Pick<MachineConfig, 'arch'>, { accelerators }: QemuFacts): Accelerator {
  return accelerators.find(({ name, usable, arches }) => name !== 'tcg' && usable && arches.includes(arch))?.name ?? 'tcg'
}

/** Older systems know the PC of 1996; UEFI is made for the one of 2007. */
function boardName(config: MachineConfig): 'pc' | 'q35' | 'virt' {
  if (!isPc(config.arch)) return 'virt'
  return config.devices === 'legacy' && config.firmware === 'bios' ? 'pc' : 'q35'
}

function boardFor(config: MachineConfig, { machineTypes }: QemuProgram): QemuProgram['machineTypes'][number] | undefined {
  const wanted = boardName(config)
  return machineTypes.find(({ alias }) => alias === wanted) ?? machineTypes.find(({ name }) => name === wanted)
}

function limitsOf(config: MachineConfig, { devices }: QemuProgram, boardCpus: number): EngineLimits {
  return {
    name: 'QEMU',
    arches: ARCHES,
    maxCpus: Math.min(CPUS.max, boardCpus),
    memoryMiB: { min: MEMORY_MIB.min, max: config.arch === 'i386' ? MOST_MIB_32_BIT : MEMORY_MIB.max },
    serialPorts: SERIAL_PORTS.max,
    nics: MAX_NICS,
    nicModels: NIC_MODELS.filter((model) => devices.includes(NIC_DEVICES[model])),
    drives: { disk: MAX_DRIVES, cdrom: MAX_DRIVES, floppy: isPc(config.arch) ? 2 : 0 },
  }
}

const NIC_DEVICES: Record<NicModel, string> = {
  virtio: 'virtio-net-pci',
  e1000e: 'e1000e',
  e1000: 'e1000',
  rtl8139: 'rtl8139',
  ne2k: 'ne2k_pci',
}

/** Where nothing else is wished: virtio, which can take the size of the window, or VGA where that is not there or not known to the guest. Null: none is there. */
function displayFor(config: MachineConfig, { devices }: QemuProgram): QemuSpec['display'] | null {
  const pc = isPc(config.arch)
  const virtio = devices.includes(pc ? 'virtio-vga' : 'virtio-gpu-pci')
  const vga = pc && devices.includes('VGA')
  switch (config.display) {
    case 'none':
      return 'none'
    case 'virtio':
      return virtio ? 'virtio' : null
    case 'vga':
      return vga ? 'vga' : null
    case 'auto':
      if (virtio && config.devices !== 'legacy') return 'virtio'
      return vga ? 'vga' : 'none'
  }
}

function missingDisplay(config: MachineConfig): string {
  if (config.display === 'vga' && !isPc(config.arch)) return `There is no VGA display for ${config.arch} systems. Choose virtio, or none.`
  return `The QEMU of this computer has no ${config.display} display. Choose another, or none.`
}

/** Fields, with what the program lacks for them. */
function missingFeatures(config: MachineConfig, { features }: QemuProgram): [string, string][] {
  const needed: [boolean, QemuFeature, string, string][] = [
    [config.nics.length > 0, 'netdev-stream', 'nics', 'network cards over sockets'],
    [config.drives.some(({ kind }) => kind === 'disk'), 'throttle-group', 'drives', 'limits for drives'],
    [config.display !== 'none', 'vnc', 'display', 'VNC, by which its screen is shown'],
    [config.tpm, 'tpm-emulator', 'tpm', 'support for TPMs'],
  ]
  return needed.flatMap(([wanted, feature, path, what]) =>
    wanted && !features.includes(feature) ? [[path, what] as [string, string]] : [],
  )
}
