/** How a disk is plugged into its machine, and how carefully what the guest writes is kept. */

/** `ata`: SATA, or IDE on the boards (and on the engine) that know no other. */
export const BUSES = ['virtio', 'ata', 'nvme', 'usb'] as const
export type Bus = (typeof BUSES)[number]

/**
 * When a guest is told that its data is written. `writeback`: at once; it is on disk after the guest's flush. `writethrough`: when it is on disk. `none`:
 * as write-back, past this computer's page cache. `unsafe`: at once, and a flush does nothing.
 */
export const CACHES = ['writeback', 'writethrough', 'none', 'unsafe'] as const
export type Cache = (typeof CACHES)[number]

/** Where a disk is plugged in: where it says so, else as the machine's devices are. */
export function busOf({ bus }: { bus?: Bus | undefined }, devices: 'modern' | 'legacy'): Bus {
  return bus ?? (devices === 'legacy' ? 'ata' : 'virtio')
}

/** Such a disk takes a slot of its own, as a network card does. */
export function isOnPci(bus: Bus): boolean {
  return bus === 'virtio' || bus === 'nvme'
}

/** For sentences. */
export const BUS_WORDS: Record<Bus, string> = { virtio: 'virtio', ata: 'SATA or IDE', nvme: 'NVMe', usb: 'USB' }

/** Why nothing should be kept on such a disk that anybody would miss. */
export const UNSAFE_WARNING =
  'What the guest has written and flushed may be lost, or the disk damaged, when this computer or the machine’s process ends unexpectedly.'
