/** Foreign machines of all kinds, for property tests: text of any characters, more of everything than machines have here. */
import fc from 'fast-check'
import type { ForeignDrive, ForeignMachine, ForeignNic } from '../../../../src-main/host/exchange/foreign-machine.ts'

const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.trim())
const fileName = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9 _&<>'%-]{0,20}[A-Za-z0-9]\.vmdk$/)

const drive: fc.Arbitrary<ForeignDrive> = fc.record({
  kind: fc.constantFrom('disk', 'cdrom', 'floppy'),
  controller: fc.constantFrom('ide', 'sata', 'scsi', 'nvme', 'usb', 'virtio', 'floppy', null),
  controllerModel: fc.constantFrom('lsilogic', null),
  file: fc.option(fileName),
  format: fc.constantFrom('vmdk', 'qcow2', 'vhd', 'iso', null),
  compression: fc.constantFrom('gzip', null),
  parents: fc.array(fileName, { maxLength: 2 }),
  capacity: fc.option(fc.nat(2 ** 40).map((size) => size * 512)),
  bootOrder: fc.option(fc.integer({ min: 1, max: 5 })),
  readOnly: fc.boolean(),
})

/** A disk without image and size is none. */
const realDrive = drive.map((one) => (one.kind === 'disk' && one.file === null && one.capacity === null ? { ...one, capacity: 512 } : one))

const mac = fc
  .array(fc.nat(255), { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((byte, at) => (at === 0 ? (byte & 0xfe) | 2 : byte).toString(16).padStart(2, '0')).join(':'))
const nic: fc.Arbitrary<ForeignNic> = fc.record({
  model: fc.constantFrom('virtio', 'e1000', 'e1000e', 'rtl8139', 'ne2k', 'pcnet', 'vmxnet', 'vmxnet3', 'other', null),
  mac: fc.option(mac),
  network: fc.option(line.filter((text) => text !== '')),
  connected: fc.boolean(),
})

export const anyMachine: fc.Arbitrary<ForeignMachine> = fc.record({
  name: line,
  notes: fc.string({ unit: 'grapheme', maxLength: 300 }).map((text) => text.trim()),
  guest: fc.record({ family: fc.constantFrom('linux', 'windows', 'macos', 'bsd', 'solaris', 'dos', 'other'), label: fc.option(line) }),
  arch: fc.constantFrom('i386', 'x86_64', 'aarch64', 'riscv64', null),
  firmware: fc.constantFrom('bios', 'uefi', 'uefi-secure'),
  tpm: fc.boolean(),
  cpus: fc.option(fc.nat(1000)),
  memoryMiB: fc.option(fc.nat(2 ** 30)),
  drives: fc.array(realDrive, { maxLength: 8 }),
  nics: fc.array(nic, { maxLength: 6 }),
  serialPorts: fc.nat(6),
  display: fc.constantFrom('virtio', 'none', null),
  licences: fc.array(
    line.filter((text) => text !== ''),
    { maxLength: 2 },
  ),
  unknown: fc.array(line, { maxLength: 3 }),
})
