/**
 * The board of a QEMU machine and what sits where on it. Every device has a fixed slot on the root bus: a guest names its network cards
 * after their slots, so adding a disk must not move them. Virtio disks and network cards can come and go while the machine runs. i440FX takes and
 * gives back what sits on its bus; the other boards only what sits in ports, which are there from the start, one for each that there can be. Slots 0 and 0x1f (q35: ISA bridge, SATA, SMBus) and 1 (i440FX: PIIX3) are the board's own.
 */
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { MAX_DRIVES, MAX_NICS } from '../../../../src-shared/model/machine.ts'

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
  nic: 0x0c,
  disk: 0x10,
  share: 0x14,
  serial: 0x1c,
} as const

/** Where a device sits, as `-device` takes it. @param at counts devices of one kind */
export function slot(board: Board, kind: keyof typeof SLOTS, at = 0): { bus: string; addr: string } {
  return { bus: board.bus, addr: `0x${(SLOTS[kind] + at).toString(16)}` }
}

const PLACES = { nic: MAX_NICS, disk: MAX_DRIVES } as const

/** Where a disk or a network card sits. @param place counts places of its kind */
export function hotSlot(board: Board, kind: keyof typeof PLACES, place: number): { bus: string; addr?: string } {
  return board.kind === 'pci' ? slot(board, kind, place) : { bus: portName(kind, place) }
}

/** An underscore, which no drive and no network card has in its id. */
function portName(kind: keyof typeof PLACES, place: number): string {
  return `${kind}_port${place}`
}

/** The ports: id, place on the root bus, and the number by which a guest knows the slot. */
export function hotPorts(
  board: Board,
  { devices }: Pick<QemuSpec, 'devices'>,
): { id: string; bus: string; addr: string; chassis: number }[] {
  if (board.kind === 'pci') return []
  // Older disks sit on SATA.
  const kinds = devices === 'legacy' ? (['nic'] as const) : (['nic', 'disk'] as const)
  return kinds.flatMap((kind, group) =>
    Array.from({ length: PLACES[kind] }, (_, place) => ({
      id: portName(kind, place),
      ...slot(board, kind, place),
      chassis: group * PLACES.nic + place + 1,
    })),
  )
}
