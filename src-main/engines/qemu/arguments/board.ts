/**
 * The board of a QEMU machine and what sits where on it. Every device has a fixed slot on the root bus: a guest names its network cards
 * after their slots, so adding a disk must not move them. Disks on PCI (virtio, NVMe) and network cards can come and go while the machine runs. i440FX
 * takes and gives back what sits on its bus; the other boards only what sits in ports, which are there from the start: one for each network card that
 * there can be, and for the first disks. Slots 0 and 0x1f (q35: ISA bridge, SATA, SMBus) and 1 (i440FX: PIIX3) are the board's own.
 */
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { HOT_DISKS, MAX_NICS } from '../../../../src-shared/model/machine.ts'

/** `pci`: the PC of 1996 (i440FX). `pcie`: the PC of 2007 (q35). `virt`: QEMU's own board for ARM and RISC-V. */
export type BoardKind = 'pci' | 'pcie' | 'virt'

export interface Board {
  kind: BoardKind
  /** Name of the root bus. */
  bus: 'pci.0' | 'pcie.0'
  pc: boolean
}

export function boardOf({ machineType }: Pick<QemuSpec, 'machineType'>): Board {
  if (machineType.startsWith('virt')) return { kind: 'virt', bus: 'pcie.0', pc: false }
  if (/q35/.test(machineType)) return { kind: 'pcie', bus: 'pcie.0', pc: true }
  return { kind: 'pci', bus: 'pci.0', pc: true }
}

const SLOTS = {
  display: 0x02,
  usb: 0x03,
  agents: 0x04,
  balloon: 0x05,
  rng: 0x06,
  scsi: 0x07,
  moreDisks: 0x08,
  nic: 0x0c,
  disk: 0x10,
  share: 0x14,
  serial: 0x1c,
} as const

/** Where a device sits, as `-device` takes it. @param at counts devices of one kind */
export function slot(board: Board, kind: keyof typeof SLOTS, at = 0): { bus: string; addr: string } {
  return { bus: board.bus, addr: `0x${(SLOTS[kind] + at).toString(16)}` }
}

type HotKind = 'nic' | 'disk'

/** Where a disk or a network card sits. @param place counts places of its kind */
export function hotSlot(board: Board, kind: HotKind, place: number): { bus: string; addr?: string } {
  return board.kind === 'pci' ? rootSlot(board, kind, place) : { bus: portName(kind, place) }
}

/** Disks beyond those that there are places for from the start sit in slots that were left. */
function rootSlot(board: Board, kind: HotKind, place: number): { bus: string; addr: string } {
  return kind === 'disk' && place >= HOT_DISKS ? slot(board, 'moreDisks', place - HOT_DISKS) : slot(board, kind, place)
}

/** The controller of disks on USB. The one slot that each board has left: 1 is i440FX's own, 0x1f the others'. */
export function usbDiskSlot(board: Board): { bus: string; addr: string } {
  return { bus: board.bus, addr: board.kind === 'pci' ? '0x1f' : '0x1' }
}

/** An underscore, which no drive and no network card has in its id. */
function portName(kind: HotKind, place: number): string {
  return `${kind}_port${place}`
}

/**
 * The ports: id, place on the root bus, and the number by which a guest knows the slot.
 * @param disks places of the disks on PCI that the machine has
 */
export function hotPorts(
  board: Board,
  { devices }: Pick<QemuSpec, 'devices'>,
  disks: readonly number[],
): { id: string; bus: string; addr: string; chassis: number }[] {
  if (board.kind === 'pci') return []
  const port = (kind: HotKind, place: number, group: number): { id: string; bus: string; addr: string; chassis: number } => ({
    id: portName(kind, place),
    ...rootSlot(board, kind, place),
    chassis: group * MAX_NICS + place + 1,
  })
  const all = (places: number): number[] => Array.from({ length: places }, (_, place) => place)
  // Older disks sit on SATA: there is none to be added.
  const diskPlaces = [...new Set([...(devices === 'legacy' ? [] : all(HOT_DISKS)), ...disks])].sort((a, b) => a - b)
  return [...all(MAX_NICS).map((place) => port('nic', place, 0)), ...diskPlaces.map((place) => port('disk', place, 1))]
}
