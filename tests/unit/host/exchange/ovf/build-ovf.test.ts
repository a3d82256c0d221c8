import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { GiB } from '../../../../../src-shared/base/units.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { parseMachineConfig } from '../../../../../src-shared/model/machine.ts'
import { describeForExport } from '../../../../../src-main/host/exchange/export-machine.ts'
import type { ForeignDrive, ForeignMachine } from '../../../../../src-main/host/exchange/foreign-machine.ts'
import { buildOvf, type BuiltOvf } from '../../../../../src-main/host/exchange/ovf/build-ovf.ts'
import { parseOvf } from '../../../../../src-main/host/exchange/ovf/parse-ovf.ts'
import {
  attribute,
  child,
  childrenOf,
  childText,
  descendant,
  parseXml,
  type XmlElement,
} from '../../../../../src-main/host/exchange/xml/parse-xml.ts'
import { anyMachine } from '../any-machine.ts'

const CONFIG = parseMachineConfig({
  ...{ schema: 1, id: '3f3a3dc1-0f0e-4a4d-9a53-27c6b0b6c3a1', created: '2026-01-01T00:00:00Z', name: 'Büro & Co', arch: 'x86_64', cpus: 2 },
  ...{ memoryMiB: 1536, firmware: 'uefi-secure', tpm: true, notes: 'Line 1\nLine <2>', guest: 'coppice-linux', serialPorts: 2 },
  boot: { kind: 'firmware', order: ['cdrom', 'disk'] },
  drives: [
    { id: 'drive0', kind: 'disk', path: 'disks/a.raw' },
    { id: 'drive1', kind: 'cdrom', path: '/iso/debian.iso' },
    { id: 'drive2', kind: 'disk', path: 'disks/b.raw' },
    { id: 'drive3', kind: 'cdrom', path: null },
  ],
  nics: [
    { id: 'nic0', mac: '52:54:00:00:00:01', network: 'lab' },
    { id: 'nic1', mac: '52:54:00:00:00:02', model: 'rtl8139', link: 'down', network: 'default' },
  ],
  sharedFolders: [{ tag: 'work', path: '/home/me/work' }],
})
const IMAGES = new Map([
  ['drive0', { file: 'machine-disk1.vmdk', format: 'vmdk', capacity: 8 * GiB }],
  ['drive1', { file: 'debian.iso', format: 'iso', capacity: 1000 }],
  ['drive2', { file: 'machine-disk2.vmdk', format: 'vmdk', capacity: GiB }],
] as const)
const SIZES = new Map([
  ['machine-disk1.vmdk', 3_000_000_000],
  ['debian.iso', 1000],
  ['machine-disk2.vmdk', 70_000],
])

const built = (): BuiltOvf => buildOvf(describeForExport(CONFIG, IMAGES), SIZES)
const tree = (xml: string): XmlElement => parseXml(utf8(xml), 'a.ovf')

/** dsp8023_1.1.0 gives an item's parts in this order (CIM_ResourceAllocationSettingData, alphabetical). */
const RASD = [
  ...['Address', 'AddressOnParent', 'AllocationUnits', 'AutomaticAllocation', 'AutomaticDeallocation', 'Caption', 'ConfigurationName'],
  ...['Connection', 'ConsumerVisibility', 'Description', 'ElementName', 'HostResource', 'InstanceID', 'Limit', 'MappingBehavior'],
  ...['OtherResourceType', 'Parent', 'PoolID', 'Reservation', 'ResourceSubType', 'ResourceType', 'VirtualQuantity', 'Weight'],
]

/** What the schema wants and what readers rely on. */
function checkStructure(xml: string): void {
  const root = tree(xml)
  expect([root.name, root.space]).toEqual(['Envelope', 'http://schemas.dmtf.org/ovf/envelope/1'])
  expect(root.children.map(({ name }) => name)).toEqual(['References', 'DiskSection', 'NetworkSection', 'VirtualSystem'])
  for (const section of root.children.slice(1)) expect(section.children[0]!.name).toBe('Info')
  const files = childrenOf(root.children[0]!, 'File').map((file) => attribute(file, 'id')!)
  expect(new Set(files).size).toBe(files.length)
  for (const file of childrenOf(root.children[0]!, 'File')) expect(attribute(file, 'size')).toMatch(/^\d+$/)
  const disks = childrenOf(child(root, 'DiskSection'), 'Disk')
  const diskIds = disks.map((disk) => attribute(disk, 'diskId')!)
  expect(new Set(diskIds).size).toBe(disks.length)
  for (const disk of disks) {
    expect(attribute(disk, 'capacity')).toMatch(/^\d+$/)
    expect(attribute(disk, 'capacityAllocationUnits')).toBe('byte')
    if (attribute(disk, 'fileRef') !== null) expect(files).toContain(attribute(disk, 'fileRef'))
  }
  const networks = childrenOf(child(root, 'NetworkSection'), 'Network').map((network) => attribute(network, 'name'))
  const system = child(root, 'VirtualSystem')!
  expect(system.children.slice(0, 2).map(({ name }) => name)).toEqual(['Info', 'Name'])
  for (const section of system.children.slice(2)) expect(section.children[0]!.name).toBe('Info')
  const hardware = child(system, 'VirtualHardwareSection')!
  expect(hardware.children.slice(0, 2).map(({ name }) => name)).toEqual(['Info', 'System'])
  expect(child(hardware, 'System')!.children.map(({ name }) => name)).toEqual([
    'ElementName',
    'InstanceID',
    'VirtualSystemIdentifier',
    'VirtualSystemType',
  ])
  expect(childText(child(hardware, 'System'), 'VirtualSystemType')).toMatch(/^vmx-\d+$/)
  const items = childrenOf(hardware, 'Item')
  const ids = items.map((item) => childText(item, 'InstanceID'))
  expect(new Set(ids).size).toBe(items.length)
  // Items, then what others add: the schema's xs:any is last.
  expect(hardware.children.slice(2, 2 + items.length).every(({ name }) => name === 'Item')).toBe(true)
  const places = new Set<string>()
  for (const item of items) {
    const names = item.children.map(({ name }) => name)
    expect(names).toEqual(RASD.filter((name) => names.includes(name)))
    expect(item.children.every(({ space }) => space.endsWith('/CIM_ResourceAllocationSettingData'))).toBe(true)
    for (const name of ['ElementName', 'InstanceID', 'ResourceType']) expect(names).toContain(name)
    const type = childText(item, 'ResourceType')
    if (type === '10') expect(networks).toContain(childText(item, 'Connection'))
    if (type !== '15' && type !== '17') continue
    // A controller that comes before it, and a place of its own there.
    const parent = items.find((one) => childText(one, 'InstanceID') === childText(item, 'Parent'))!
    expect(['5', '6', '20']).toContain(childText(parent, 'ResourceType'))
    expect(items.indexOf(parent)).toBeLessThan(items.indexOf(item))
    const place = `${childText(item, 'Parent')}:${childText(item, 'AddressOnParent')}`
    expect(places).not.toContain(place)
    places.add(place)
    if (type === '17') expect(diskIds).toContain(/^ovf:\/disk\/(.+)$/.exec(childText(item, 'HostResource') ?? '')?.[1])
  }
}

describe('a machine of ours', () => {
  test('has the structure that the schema wants', () => checkStructure(built().xml))

  test('is what was meant', () => {
    const system = child(tree(built().xml), 'VirtualSystem')
    expect(attribute(system, 'id')).toBe('Büro & Co')
    expect(attribute(child(system, 'OperatingSystemSection'), 'osType')).toBe('otherLinux64Guest')
    expect(attribute(child(system, 'OperatingSystemSection'), 'id')).toBe('101')
    const hardware = child(system, 'VirtualHardwareSection')
    expect(childText(descendant(hardware, 'System'), 'VirtualSystemType')).toBe('vmx-13')
    const items = childrenOf(hardware, 'Item').map((item) => [
      childText(item, 'ResourceType'),
      childText(item, 'ResourceSubType'),
      childText(item, 'AllocationUnits'),
    ])
    expect(items).toEqual([
      ['3', null, 'hertz * 10^6'],
      ['4', null, 'byte * 2^20'],
      ['20', 'vmware.sata.ahci', null],
      ['17', null, null],
      ['15', 'vmware.cdrom.iso', null],
      ['17', null, null],
      ['15', 'vmware.cdrom.remotepassthrough', null],
      ['10', 'E1000', null],
      ['10', 'PCNet32', null],
    ])
  })

  test('lists its files in the order of the archive, and its losses', () => {
    const { references, losses } = built()
    expect(references).toEqual(['machine-disk1.vmdk', 'debian.iso', 'machine-disk2.vmdk'])
    expect(losses).toEqual([
      'Shared folders (work): left out.',
      'Its disks are on virtio here and on SATA there. A system without a driver for it does not start.',
      'Network card 1 (virtio): becomes an Intel E1000, which all products have.',
      'Network card 2 (rtl8139): becomes an AMD PCnet, which all products have.',
      'The TPM: left out. What it keeps cannot be moved.',
      'Serial ports: left out.',
      'VirtualBox does not read that the machine has UEFI: switch EFI on there after the import.',
    ])
  })

  test('comes back', () => {
    expect(parseOvf(utf8(built().xml), 'a.ovf').machines[0]).toMatchObject({
      ...{ name: 'Büro & Co', notes: 'Line 1\nLine <2>', arch: 'x86_64', firmware: 'uefi-secure', cpus: 2, memoryMiB: 1536, unknown: [] },
      guest: { family: 'linux', label: 'Coppice Linux' },
      drives: [
        { kind: 'disk', file: 'machine-disk1.vmdk', capacity: 8 * GiB, format: 'vmdk' },
        { kind: 'cdrom', file: 'debian.iso', format: 'iso' },
        { kind: 'disk', file: 'machine-disk2.vmdk' },
        { kind: 'cdrom', file: null },
      ],
      nics: [
        { model: 'e1000', mac: '52:54:00:00:00:01', network: 'lab', connected: true },
        { model: 'pcnet', mac: '52:54:00:00:00:02', network: 'default', connected: false },
      ],
    })
  })

  test('names the networks once each (DSP0243, 9.2), and each card its own', () => {
    const nics = ['lab', 'default', 'lab', null].map((network, at) => ({ ...CONFIG.nics[0]!, id: `nic${at}`, network }))
    const { xml } = buildOvf(describeForExport({ ...CONFIG, nics }, IMAGES), SIZES)
    checkStructure(xml)
    const root = tree(xml)
    // Who is plugged in nowhere has a name that every product knows, and no link.
    const names = ['lab', 'default', 'NAT']
    expect(childrenOf(child(root, 'NetworkSection'), 'Network').map((network) => attribute(network, 'name'))).toEqual(names)
    const items = childrenOf(child(child(root, 'VirtualSystem')!, 'VirtualHardwareSection'), 'Item')
    const cards = items.filter((item) => childText(item, 'ResourceType') === '10')
    expect(cards.map((card) => childText(card, 'Connection'))).toEqual(['lab', 'default', 'lab', 'NAT'])
    expect(cards.map((card) => childText(card, 'AutomaticAllocation'))).toEqual(['true', 'true', 'true', 'false'])
  })

  test('what is not brought along is said', () => {
    const kernel = { kind: 'kernel', kernel: 'boot/kernel', initrd: null, cmdline: '' } as const
    const vncExport = { enabled: true, port: null }
    const config = {
      ...CONFIG,
      boot: kernel,
      vncExport,
      drives: [...CONFIG.drives, { ...CONFIG.drives[0]!, id: 'drive4', kind: 'floppy' as const, path: '/a.img' }],
    }
    expect(describeForExport(config, new Map()).unknown).toEqual([
      expect.stringContaining('direct kernel boot'),
      'Shared folders (work): left out.',
      'Its screen for VNC viewers: left out.',
      expect.stringContaining('on virtio here'),
      'Disk “disks/a.raw”: left out.',
      '“/iso/debian.iso” in the CD drive: left out. The drive is empty.',
      'Disk “disks/b.raw”: left out.',
      '“/a.img” in the floppy drive: left out. The drive is empty.',
    ])
    expect(describeForExport({ ...CONFIG, arch: 'riscv64' }, IMAGES)).toMatchObject({
      firmware: 'uefi',
      unknown: [expect.stringContaining('riscv64'), expect.anything(), expect.anything()],
    })
  })

  test('older devices stay on IDE, or on AHCI with UEFI', () => {
    const buses = (firmware: 'bios' | 'uefi'): unknown[] =>
      describeForExport({ ...CONFIG, devices: 'legacy', firmware }, IMAGES).drives.map(({ controller }) => controller)
    expect(buses('bios')).toEqual(['ide', 'ide', 'ide', 'ide'])
    expect(buses('uefi')).toEqual(['sata', 'sata', 'sata', 'sata'])
    const xml = buildOvf(describeForExport({ ...CONFIG, devices: 'legacy', firmware: 'bios' }, IMAGES), SIZES).xml
    checkStructure(xml)
    expect(xml.match(/VirtualIDEController/g)).toHaveLength(2)
  })
})

describe('what cannot be described', () => {
  const machine = describeForExport(CONFIG, IMAGES)
  test.each([
    ['a file of unknown size', machine, new Map<string, number>()],
    ['a name that leads out', withDrive({ file: '../a.vmdk' }), new Map([...SIZES, ['../a.vmdk', 1]])],
    ['a disk of unknown size', withDrive({ capacity: null }), SIZES],
  ])('%s', (_, foreign, sizes) => expect(() => buildOvf(foreign, sizes)).toThrow(AppError))

  function withDrive(more: Partial<ForeignDrive>): ForeignMachine {
    return { ...machine, drives: machine.drives.map((drive, at) => (at === 0 ? { ...drive, ...more } : drive)) }
  }
})

/** What a descriptor can say of a machine: the rest is a loss that `buildOvf` names, or is not said by it. */
function sayable(machine: ForeignMachine): ForeignMachine {
  const drives = machine.drives.map((drive): ForeignDrive => {
    const controller =
      drive.kind === 'floppy' ? 'floppy' : drive.controller === 'ide' || drive.controller === 'scsi' ? drive.controller : 'sata'
    const isDisk = drive.kind === 'disk'
    const file = drive.kind === 'floppy' ? null : drive.file
    const format = file === null ? null : isDisk ? (drive.format ?? 'vmdk') : 'vmdk'
    const said = { controller, file, format, capacity: isDisk ? (drive.capacity ?? 0) : null, bootOrder: null, readOnly: false } as const
    return { ...drive, ...said, controllerModel: null, compression: null, parents: [] }
  })
  // Controllers come in the order in which drives need them; drives without one are last.
  const first = (bus: string | null): number => (bus === 'floppy' ? Infinity : drives.findIndex(({ controller }) => controller === bus))
  return {
    ...machine,
    name: machine.name === '' ? 'machine' : machine.name,
    guest: { family: machine.guest.family, label: machine.guest.label },
    ...{ tpm: false, cpus: machine.cpus ?? 1, memoryMiB: machine.memoryMiB ?? 1024, serialPorts: 0, display: null, unknown: [] },
    drives: drives.toSorted((a, b) => (first(a.controller) === first(b.controller) ? 0 : first(a.controller) - first(b.controller))),
    nics: machine.nics.map((nic) => ({
      ...nic,
      model: nic.model === 'pcnet' || nic.model === 'ne2k' || nic.model === 'rtl8139' ? 'pcnet' : 'e1000',
      network: nic.network ?? 'NAT',
    })),
  }
}

test('built and parsed is the same, as far as a descriptor can say it', () => {
  fc.assert(
    fc.property(anyMachine, (any) => {
      const machine = { ...any, drives: any.drives.map((drive) => ({ ...drive, capacity: drive.capacity ?? 0 })) }
      const sizes = new Map(machine.drives.flatMap(({ file }) => (file === null ? [] : [[file, 1] as const])))
      const { xml } = buildOvf(machine, sizes)
      checkStructure(xml)
      const back = parseOvf(utf8(xml), 'a.ovf', (name) => sizes.has(name)).machines[0]!
      const expected = sayable(machine)
      const model = (drive: ForeignDrive): ForeignDrive => ({ ...drive, controllerModel: null })
      // The guest's name and processor are told by numbers and names that only PCs have.
      expect({ ...back, drives: back.drives.map(model), guest: null, arch: null }).toEqual({ ...expected, guest: null, arch: null })
      if (machine.guest.label === null) expect(back.guest.family).toBe(machine.guest.family)
      if (machine.arch === 'aarch64' || machine.arch === 'riscv64') expect(back.arch).toBe(machine.arch)
    }),
  )
})
