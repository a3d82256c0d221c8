/**
 * Changes to v86's insides that let it have more virtio devices than its own: patches.ts goes on here, with the same rules.
 * Sources: PCI 3.0; Intel 82371SB (PIIX3) data sheet; virtio 1.2.
 */
import type { Core, Cpu, Virtio, VirtioOptions } from './v86.ts'

/** I/O ports below belong to the board and do not move. */
const FIRST_PCI_PORT = 0x1000

/**
 * Devices' I/O ports move by themselves. v86 empties the range that a device moves away from, also where another device has moved to meanwhile;
 * with many devices firmware's ranges meet those that they stand in at first.
 */
export function repairPortMoves(cpu: Cpu): void {
  const { pci } = cpu.devices
  const { ports } = cpu.io
  pci.set_io_bars = ({ size, entries }, from, to) => {
    for (let at = 0; at < size; at++) {
      if (from + at >= FIRST_PCI_PORT && ports[from + at] === entries[at]) ports[from + at] = cpu.io.create_empty_entry()
      if (to + at >= FIRST_PCI_PORT) ports[to + at] = entries[at]!
    }
  }
}

/** Configuration space of the PIIX3's ISA bridge: PIRQRCA and the three after it. */
const PIRQ_ROUTES = 0x60
/** Word 15 of a device's configuration space has its interrupt pin in the second byte (PCI 3.0, 6.2.4). */
const INTERRUPT_WORD = 15

/**
 * An interrupt line stands while any virtio device on it has something to tell (virtio 1.2, 4.1.4.5; INTx is a level). v86 lowers it when the
 * first of them was heard, and what another told in between is lost.
 */
export function shareInterruptLines(cpu: Cpu, ours: readonly Virtio[]): void {
  const { pci, virtio_net: net, virtio_console: console } = cpu.devices
  const lineOf = (pciId: number): number => {
    const pin = (pci.device_spaces[pciId]![INTERRUPT_WORD]! >> 8) & 255
    return pci.isa_bridge_space8[PIRQ_ROUTES + ((pin - 1 + (pciId >> 3) - 1) & 3)]!
  }
  const lower = pci.lower_irq
  pci.lower_irq = function (pciId) {
    const line = lineOf(pciId)
    for (const device of [net?.virtio, console?.virtio, ...ours]) {
      if (device && device.isr_status !== 0 && device.pci_id !== pciId && lineOf(device.pci_id) === line) return
    }
    lower.call(this, pciId)
  }
}

/** One more virtio device, of a kind that v86 has none or only one of. To be made before the machine's first instruction. */
export function addVirtioDevice(cpu: Cpu, options: VirtioOptions): Virtio {
  // The class is not exported; its console, which every machine has, is made of one.
  const Device = cpu.devices.virtio_console!.virtio.constructor as unknown as new (cpu: Cpu, options: VirtioOptions) => Virtio
  return new Device(cpu, options)
}

/** A halted guest looks at once what an interrupt wants to tell it, not when its next timer is due. */
export function wakeGuest(core: Core): void {
  if (core.running && !core.stopping && core.idle && core.cpu.in_hlt[0] === 1) core.next_tick(0)
}
