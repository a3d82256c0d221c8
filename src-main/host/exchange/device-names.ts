/** Names of the same things in other products: guest systems, network cards, image formats. */
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { isPc, type Arch } from '../../../src-shared/model/machine.ts'
import type { ForeignDrive, ForeignGuest, ForeignNicModel, GuestFamily } from './foreign-machine.ts'
import { shown } from './text/remarks.ts'

/** In this order; "darwin" has "win" in it. */
const FAMILIES: readonly (readonly [RegExp, GuestFamily])[] = [
  [/darwin|mac ?os/, 'macos'],
  [/win|longhorn|^msdos.*nt/, 'windows'],
  [
    /linux|ubuntu|debian|red ?hat|rhel|centos|fedora|suse|sles|gentoo|mandriva|oracle|alma|rocky|photon|coreos|amazon|turbo|mandrake|asianux|xandros/,
    'linux',
  ],
  [/bsd/, 'bsd'],
  [/solaris|sunos|opensolaris/, 'solaris'],
  [/dos/, 'dos'],
]

/**
 * A guest by its name in VMware's .vmx ("ubuntu-64", "arm-debian12-64"), VMware's OVF ("windows9_64Guest") or VirtualBox ("Debian_arm64").
 * @returns its architecture too: null where the name tells none
 */
export function guestByName(name: string): { guest: ForeignGuest; arch: Arch | null } {
  const label = shown(name)
  const lower = label.toLowerCase()
  const family = FAMILIES.find(([pattern]) => pattern.test(lower))?.[1] ?? 'other'
  return { guest: { family, label: label === '' ? null : label }, arch: archOf(lower, family) }
}

function archOf(lower: string, family: GuestFamily): Arch | null {
  if (/arm64|aarch64|^arm-/.test(lower)) return 'aarch64'
  if (/riscv64/.test(lower)) return 'riscv64'
  if (/(64|64guest|64-bit)$/.test(lower)) return 'x86_64'
  // Beside it there is one of 64 bits.
  if (/^other(guest)?$/.test(lower)) return 'i386'
  return family === 'other' ? null : 'i386'
}

/** CIM_OperatingSystem.OSType (DMTF CIM schema 2.43): only those that tell more than that it is another one. */
const CIM_FAMILIES: readonly (readonly [GuestFamily, readonly number[], readonly number[]])[] = [
  // Family, 32-bit, 64-bit.
  ['linux', [36, 79, 82, 84, 89, 91, 93, 95, 97, 99, 106, 108], [80, 83, 85, 90, 92, 94, 96, 98, 100, 101, 107, 109]],
  ['windows', [15, 16, 17, 18, 58, 63, 67, 69, 72, 73, 76, 105, 113, 117, 119], [70, 71, 74, 77, 103, 111, 112, 114, 115, 116, 118, 120]],
  ['bsd', [41, 42, 43, 65], [78]],
  ['solaris', [29, 30], [81]],
  ['macos', [], [2]],
  ['dos', [14], []],
  ['other', [], [102]],
]

/** Null for numbers that tell nothing (0 Unknown, 1 Other) or that stand for systems which no PC runs. */
export function guestByCim(id: number): { family: GuestFamily; arch: Arch } | null {
  for (const [family, narrow, wide] of CIM_FAMILIES) {
    if (narrow.includes(id)) return { family, arch: 'i386' }
    if (wide.includes(id)) return { family, arch: 'x86_64' }
  }
  return null
}

/** Another system, of any kind. */
const CIM_OTHER = 1

/** For descriptors that are written: CIM's number and VMware's name of a guest, of 32 and of 64 bits. */
const WRITTEN: Record<GuestFamily, readonly [narrow: readonly [number, string], wide: readonly [number, string]]> = {
  linux: [
    [36, 'otherLinuxGuest'],
    [101, 'otherLinux64Guest'],
  ],
  windows: [
    [119, 'windows9Guest'],
    [120, 'windows9_64Guest'],
  ],
  macos: [
    [2, 'darwinGuest'],
    [2, 'darwin64Guest'],
  ],
  bsd: [
    [42, 'freebsdGuest'],
    [78, 'freebsd64Guest'],
  ],
  solaris: [
    [29, 'solaris10Guest'],
    [81, 'solaris10_64Guest'],
  ],
  dos: [
    [14, 'dosGuest'],
    [14, 'dosGuest'],
  ],
  other: [
    [CIM_OTHER, 'otherGuest'],
    [102, 'otherGuest64'],
  ],
}

/** @returns `vmware` null for what is no PC: CIM has no numbers for other processors, so that the description alone tells them. */
export function writtenGuest(
  { family, label }: ForeignGuest,
  arch: Arch | null,
): { cim: number; vmware: string | null; description: string } {
  if (arch !== null && !isPc(arch)) return { cim: CIM_OTHER, vmware: null, description: `${label ?? family} (${arch})` }
  const [cim, vmware] = WRITTEN[family][arch === 'i386' ? 0 : 1]
  return { cim, vmware, description: label ?? family }
}

const NICS: Readonly<Record<string, ForeignNicModel>> = {
  ...{ virtio: 'virtio', virtionet: 'virtio', virtionetpci: 'virtio', virtionetdevice: 'virtio' },
  ...{ e1000: 'e1000', '82540em': 'e1000', '82543gc': 'e1000', '82545em': 'e1000', virtuale1000: 'e1000' },
  ...{ e1000e: 'e1000e', '82574l': 'e1000e', '82583v': 'e1000e', virtuale1000e: 'e1000e' },
  ...{
    pcnet: 'pcnet',
    pcnet32: 'pcnet',
    vlance: 'pcnet',
    am79c970a: 'pcnet',
    am79c973: 'pcnet',
    am79c960: 'pcnet',
    virtualpcnet32: 'pcnet',
  },
  ...{ vmxnet: 'vmxnet', vmxnet2: 'vmxnet', virtualvmxnet: 'vmxnet', virtualvmxnet2: 'vmxnet', flexible: 'vmxnet' },
  ...{ vmxnet3: 'vmxnet3', virtualvmxnet3: 'vmxnet3' },
  ...{ rtl8139: 'rtl8139', ne2kpci: 'ne2k', ne2kisa: 'ne2k', ne2000: 'ne2k', ne1000: 'ne2k' },
}

/** By CIM subtype, .vmx virtualDev, VirtualBox adapter type or QEMU device name; null for an empty name. */
export function nicModel(name: string | null): ForeignNicModel | null {
  const plain = (name ?? '').toLowerCase().replace(/[^a-z0-9]/g, '')
  if (plain === '') return null
  return Object.hasOwn(NICS, plain) ? NICS[plain]! : 'other'
}

/**
 * The format that a URI names (DSP0243 1.1, section 9.1: `ovf:format`), else what the file's name says; null where neither does. It is what
 * the description claims, not what the file is.
 */
export function imageFormat(uri: string | null, file: string | null): ForeignDrive['format'] {
  const lower = (uri ?? '').toLowerCase()
  if (lower.includes('vmdk')) return 'vmdk'
  if (lower.includes('qcow')) return 'qcow2'
  if (lower.includes('iso9660') || lower.includes('ecma-119')) return 'iso'
  if (lower.includes('vhdx')) return 'vhdx'
  // 137171: Microsoft's own address of the VHD specification.
  if (lower.includes('vhd') || lower.includes('137171')) return 'vhd'
  if (lower.includes('vdi')) return 'vdi'
  const extension = /\.([a-z0-9]+)$/i.exec(file ?? '')?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension]! : null
}

const EXTENSIONS: Readonly<Record<string, DiskFormat | 'iso'>> = {
  ...{ vmdk: 'vmdk', vdi: 'vdi', vhd: 'vhd', vhdx: 'vhdx', qcow2: 'qcow2', raw: 'raw', img: 'raw' },
  iso: 'iso',
}

/** The format's address for a descriptor. Other products read the first of them; the rest are for QEMU-based ones. */
export const FORMAT_URIS: Readonly<Record<DiskFormat | 'iso', string>> = {
  vmdk: 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized',
  qcow2: 'http://www.gnome.org/~markmc/qcow-image-format.html',
  vhd: 'http://go.microsoft.com/fwlink/?LinkId=137171',
  vhdx: 'http://www.microsoft.com/vhdx',
  vdi: 'http://www.virtualbox.org/vdi',
  raw: 'http://www.vmware.com/specifications/raw',
  iso: 'http://www.ecma-international.org/publications/standards/Ecma-119.htm',
}
