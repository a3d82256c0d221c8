/** From a spec to a machine that stands before its first instruction, or where its memory state left it. */
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, type FieldError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Attachments } from '../engine.ts'
import { readFirmware, readKernelBoot } from './boot-files.ts'
import { EmbeddedMachine } from './embedded-machine.ts'
import { trapped } from './faults.ts'
import { FloppyDisk } from './floppy-disk.ts'
import type { KeepMemory } from './keep-memory.ts'
import { readMemory } from './memory.ts'
import { openImage, type DriveSlot, type OpenDrive } from './open-drive.ts'
import { emptyUarts, provideImageData, setLink } from './patches.ts'
import { closeSharedFolders, openSharedFolders } from './shared-folders.ts'
import { createEmulator, V86_VERSION } from './v86.ts'

const VIDEO_MEMORY = 8 * MiB

/** What v86 can hold. */
const MOST = { disk: 2, cdrom: 1, floppy: 2 } as const
const MOST_NICS = 1

export async function buildMachine(spec: MachineSpec, attach: Attachments, keep: KeepMemory): Promise<EmbeddedMachine> {
  const files = checkSpec(spec)
  const memory = spec.memoryMiB * MiB
  const firmware = await readFirmware(files)
  const boot = spec.boot.kind === 'kernel' ? await readKernelBoot(spec.boot, memory) : null
  const saved =
    attach.memory === null
      ? null
      : await readMemory(attach.memory, { engineVersion: V86_VERSION, machine: spec.id, memoryMiB: spec.memoryMiB })
  const drives = await openDrives(spec, attach)
  provideImageData()
  // A machine that goes on must not see its clock run backwards: timers would wait until it caught up.
  const clockOffset = saved === null ? 0 : saved.clockMs - performance.now()
  const clock = (): number => performance.now() + clockOffset
  const emulator = await createEmulator(
    {
      memory_size: memory,
      vga_memory_size: VIDEO_MEMORY,
      bios: { buffer: firmware.bios },
      vga_bios: { buffer: firmware.vgaBios },
      ...(boot && { bzimage: { buffer: boot.kernel }, cmdline: boot.cmdline }),
      ...(boot?.initrd && { initrd: { buffer: boot.initrd } }),
      ...(spec.boot.kind === 'firmware' && { boot_order: bootOrder(spec.boot.order) }),
      ...Object.fromEntries([...drives.values()].flatMap(({ slot, image }) => (image ? [[slot, image]] : []))),
      uart1: spec.serialPorts > 1,
      uart2: spec.serialPorts > 2,
      uart3: spec.serialPorts > 3,
      acpi: true,
      virtio_console: true,
      net_device: { type: nicModel(spec) ?? 'none' },
    },
    clock,
  )
  const folders = await openSharedFolders(spec.sharedFolders)
  const machine = new EmbeddedMachine({ spec, counters: attach.counters, rings: attach.rings, emulator, drives, folders, clock, keep })
  for (const { slot, image } of drives.values()) {
    if (image instanceof FloppyDisk) emulator.v86.cpu.devices.fdc.drives[slot === 'fda' ? 0 : 1]!.read_only = image.readOnly
  }
  if (saved) {
    try {
      emulator.v86.restore_state(saved.state)
    } catch (error) {
      await closeSharedFolders(folders)
      throw new AppError(
        'corrupt',
        'The saved memory of the machine does not fit its hardware. Discard it and start the machine anew.',
        {},
        trapped(error),
      )
    }
    emptyUarts(emulator.v86.cpu)
    // Its guest knows the link as it was.
    if (spec.nics[0]) setLink(emulator.v86.cpu, spec.nics[0].linkUp === true)
  }
  return machine
}

/** @returns where its firmware is */
function checkSpec(spec: MachineSpec): NonNullable<MachineSpec['firmware']> {
  const fields: FieldError[] = []
  const refuse = (path: string, message: string): void => void fields.push({ path, message })
  if (spec.arch !== 'i386') refuse('arch', 'The embedded engine runs 32-bit x86 guests (i386) only. Choose a 32-bit system.')
  for (const [kind, most] of Object.entries(MOST)) {
    const excess = spec.drives.flatMap((drive, at) => (drive.kind === kind ? [at] : [])).slice(most)
    for (const at of excess)
      refuse(
        `drives.${at}`,
        `The embedded engine has room for ${most} ${kind === 'cdrom' ? 'CD' : kind} ${most === 1 ? 'drive' : 'drives'}.`,
      )
  }
  if (spec.nics.length > MOST_NICS) refuse(`nics.${MOST_NICS}`, 'The embedded engine has room for one network card.')
  if (nicModel(spec) === null)
    refuse('nics.0.model', `The embedded engine has no ${spec.nics[0]?.model} network card. Choose virtio or ne2k.`)
  if (fields.length > 0) throw new AppError('unsupported', fields.map((field) => field.message).join(' '), { fields })
  if (!spec.firmware) throw new AppError('internal', 'The machine came without the embedded engine’s firmware.')
  return spec.firmware
}

/** What the first network card is; null where it is one that v86 has not. */
function nicModel({ nics }: MachineSpec): 'virtio' | 'ne2k' | 'none' | null {
  const model = nics[0]?.model ?? 'none'
  return model === 'virtio' || model === 'ne2k' || model === 'none' ? model : null
}

async function openDrives(spec: MachineSpec, attach: Attachments): Promise<Map<string, OpenDrive>> {
  const drives = new Map<string, OpenDrive>()
  const free: Record<string, DriveSlot[]> = { disk: ['hda', 'hdb'], cdrom: ['cdrom'], floppy: ['fda', 'fdb'] }
  for (const drive of spec.drives) {
    const slot = free[drive.kind]!.shift()!
    const blocks = attach.blocks.get(drive.id)
    if (drive.inserted && !blocks) throw new AppError('internal', `Drive ${drive.id} came without its block port.`)
    drives.set(drive.id, { slot, image: drive.inserted ? await openImage(drive, blocks!, attach.counters) : null })
  }
  return drives
}

const BOOT_DEVICE = { floppy: 1, disk: 2, cdrom: 3 } as const

/** CMOS 0x3d and 0x38 as SeaBIOS reads them: first device in the lowest nibble, then the second and third. */
export function bootOrder(order: readonly (keyof typeof BOOT_DEVICE)[]): number {
  return order.reduce((value, device, at) => value | (BOOT_DEVICE[device] << (4 * at)), 0)
}
