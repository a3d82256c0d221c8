/** Which kernel modules Coppice Linux carries, in which order they load, and the tables by which busybox's modprobe finds them. */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { parseModuleInfo, type ModuleInfo } from './module-info.ts'

/** Modules wanted for their own sake. One that a kernel has built in or lacks is left out. */
export const WANTED_MODULES = [
  // The bus and the devices of virtual machines
  ...['virtio_pci', 'virtio_net', 'virtio_blk', 'virtio_scsi', 'virtio_console', 'virtio_balloon', 'virtio_rng'],
  // Network cards
  ...['ne2k_pci', 'e1000', 'e1000e', '8139cp', 'af_packet'],
  // Disks
  ...['ata_piix', 'ata_generic', 'ahci', 'sd_mod', 'sr_mod', 'floppy', 'loop'],
  // File systems, and the character sets that they ask for
  ...['ext4', 'isofs', 'vfat', '9p', '9pnet_virtio', 'nls_cp437', 'nls_ascii', 'nls_iso8859_1', 'nls_utf8'],
  // Checksums that ext4 asks for by name, so that no dependency tells of them
  ...['crc32c_generic', 'crc32c_intel'],
  // The power button and the mouse
  ...['button', 'evdev', 'psmouse'],
] as const

/** What these need in Debian's kernels: known beforehand so that one pass through the package is enough (a further pass finds the rest). */
export const LIKELY_DEPENDENCIES = [
  ...[
    'virtio',
    'virtio_ring',
    'virtio_pci_legacy_dev',
    'virtio_pci_modern_dev',
    'failover',
    'net_failover',
    '8390',
    'mii',
    'ptp',
    'pps_core',
  ],
  ...['libata', 'libahci', 'scsi_mod', 'scsi_common', 't10_pi', 'crc64_rocksoft', 'crc64', 'crc_t10dif', 'crct10dif_common', 'cdrom'],
  ...['crc64_rocksoft_generic', 'crct10dif_generic', 'crc16', 'mbcache', 'jbd2', 'fat', 'netfs', 'fscache', '9pnet', 'libcrc32c'],
] as const

export interface ModuleFile {
  /** Path in the initramfs below lib/modules/<version>/: "kernel/drivers/virtio/virtio.ko". */
  path: string
  data: Uint8Array
}

/** "virtio_rng" from "…/virtio-rng.ko.xz": the kernel takes both spellings for one. Null for what is no module. */
export function moduleName(path: string): string | null {
  const match = /([^/]+)\.ko(?:\.(?:xz|zst|gz))?$/.exec(path)
  return match ? match[1]!.replaceAll('-', '_') : null
}

/** Dependencies of the collected modules that are not collected themselves. */
export function missingDependencies(files: ReadonlyMap<string, ModuleFile>): string[] {
  const missing = new Set<string>()
  for (const file of files.values()) {
    for (const name of parseModuleInfo(file.data).depends) if (!files.has(key(name))) missing.add(key(name))
  }
  return [...missing]
}

export interface ModuleTables {
  /** modules.dep: each module's path and those of everything it needs, nearest first. */
  dep: string
  /** modules.alias: patterns and the modules that they ask for. */
  alias: string
}

/** The tables for a closed set of modules (see missingDependencies). Throws AppError `corrupt` where dependencies form a ring. */
export function moduleTables(files: ReadonlyMap<string, ModuleFile>): ModuleTables {
  const infos = new Map<string, ModuleInfo>()
  for (const [name, file] of files) infos.set(name, parseModuleInfo(file.data))
  const names = [...files.keys()].sort()
  const dep = names.map(
    (name) =>
      `${files.get(name)!.path}:${dependencies(name, infos)
        .map((d) => ` ${files.get(d)!.path}`)
        .join('')}\n`,
  )
  const alias = names.flatMap((name) => infos.get(name)!.aliases.map((pattern) => `alias ${pattern} ${name}\n`))
  return { dep: dep.join(''), alias: alias.join('') }
}

/** All that `name` needs, in the order opposite to loading. */
function dependencies(name: string, infos: ReadonlyMap<string, ModuleInfo>): string[] {
  const order: string[] = []
  const visiting = new Set<string>()
  const visit = (at: string): void => {
    if (order.includes(at)) return
    if (visiting.has(at)) throw new AppError('corrupt', `The kernel’s modules depend on each other in a ring at ${at}.`)
    visiting.add(at)
    for (const next of infos.get(at)?.depends ?? []) if (infos.has(key(next))) visit(key(next))
    visiting.delete(at)
    order.push(at)
  }
  visit(name)
  order.pop()
  return order.reverse()
}

function key(name: string): string {
  return name.replaceAll('-', '_')
}
