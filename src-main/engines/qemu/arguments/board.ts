/**
 * The board of a QEMU machine and what sits where on it. Every device has a fixed slot on the root bus: a guest names its network cards
 * after their slots, so adding a disk must not move them. Slots 0 and 0x1f (q35: ISA bridge, SATA, SMBus) and 1 (i440FX: PIIX3) are the board's own.
 */
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'

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

/** Ports for disks and cards that come while the machine runs. */
export const HOTPLUG_PORTS = 4

const SLOTS = {
  display: 0x02,
  usb: 0x03,
  agents: 0x04,
  balloon: 0x05,
  rng: 0x06,
  scsi: 0x07,
  hotplug: 0x08,
  nic: 0x0c,
  disk: 0x10,
  share: 0x14,
  serial: 0x1c,
} as const

/** Where a device sits, as `-device` takes it. @param at counts devices of one kind */
export function slot(board: Board, kind: keyof typeof SLOTS, at = 0): { bus: string; addr: string } {
  return { bus: board.bus, addr: `0x${(SLOTS[kind] + at).toString(16)}` }
}
