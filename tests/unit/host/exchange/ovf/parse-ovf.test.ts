import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { GiB, MiB } from '../../../../../src-shared/base/units.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { parseOvf, type OvfDescriptor } from '../../../../../src-main/host/exchange/ovf/parse-ovf.ts'
import { COLLECTION_2, descriptor, ESXI_8, item, VIRTUALBOX_7, WORKSTATION_17 } from '../fixtures/ovf.ts'

const parse = (text: string, present?: (name: string) => boolean): OvfDescriptor => parseOvf(utf8(text), 'a.ovf', present)
const machine = (text: string) => parse(text).machines[0]!
const DISK = '<Disk ovf:capacity="1048576" ovf:diskId="d" ovf:fileRef="f"/>'
const FILE = '<File ovf:id="f" ovf:href="a.vmdk"/>'
const disk17 = (host: string) => item({ HostResource: host, InstanceID: 9, ResourceType: 17 })

describe('VirtualBox 7', () => {
  test('is read whole', () => {
    const { files, machines } = parse(VIRTUALBOX_7)
    expect(files.map(({ name }) => name)).toEqual(['Ubuntu server-disk001.vmdk', 'Ubuntu server-disk002.vmdk'])
    expect(machines).toHaveLength(1)
    expect(machines[0]).toMatchObject({
      name: 'Ubuntu server',
      notes: 'Login: ubuntu\nPassword: see the wiki & ask\n\nUbuntu 24.04 (Canonical)',
      guest: { family: 'linux', label: 'Ubuntu_64' },
      ...{ arch: 'x86_64', firmware: 'uefi', tpm: true, cpus: 2, memoryMiB: 2048, serialPorts: 1, display: null },
      licences: ['You may use it.'],
      nics: [{ model: 'virtio', mac: '08:00:27:a1:b2:c3', network: 'NAT', connected: true }],
    })
  })

  test('drives are in the order of their places', () => {
    expect(machine(VIRTUALBOX_7).drives).toMatchObject([
      { kind: 'cdrom', controller: 'ide', file: null, bootOrder: 1 },
      { kind: 'disk', controller: 'sata', file: 'Ubuntu server-disk001.vmdk', format: 'vmdk', capacity: 25 * GiB, bootOrder: 2 },
      { kind: 'disk', controller: 'sata', file: 'Ubuntu server-disk002.vmdk', capacity: GiB, bootOrder: 2 },
    ])
  })

  test('what has no counterpart is listed', () => {
    expect(machine(VIRTUALBOX_7).unknown).toEqual(['Sound card (AC97): left out.', 'Port forwarding: left out.'])
  })
})

describe('VMware Workstation 17', () => {
  test('is read whole', () => {
    expect(machine(WORKSTATION_17)).toMatchObject({
      ...{ name: 'Windows 10', notes: 'Test machine', arch: 'x86_64', firmware: 'uefi', tpm: false, cpus: 4, memoryMiB: 4096 },
      guest: { family: 'windows', label: 'windows9_64Guest' },
      nics: [{ model: 'e1000e', mac: null, network: 'nat', connected: true }],
      drives: [
        { kind: 'cdrom', controller: 'sata', file: 'tools.iso', format: 'iso' },
        { kind: 'disk', controller: 'nvme', file: 'Windows 10-disk1.vmdk', capacity: 60 * GiB },
      ],
      unknown: ['Sound card (vmware.soundcard.hdaudio): left out.', 'Saved firmware settings (nvram): left out.'],
    })
  })

  test('names are decoded, unless the package has them as they are written', () => {
    const written = 'Windows%2010-disk1.vmdk'
    expect(parse(WORKSTATION_17, (name) => name === written).files[0]!.name).toBe(written)
  })
})

describe('ESXi 8', () => {
  test('the usual deployment size counts, and its limits are no devices', () => {
    expect(machine(ESXI_8)).toMatchObject({ cpus: 1, memoryMiB: 8192, firmware: 'uefi-secure', tpm: true, serialPorts: 1, arch: 'x86_64' })
  })

  test('disks rest on others, are compressed, or are new', () => {
    expect(machine(ESXI_8).drives).toMatchObject([
      {
        ...{
          kind: 'disk',
          controller: 'scsi',
          controllerModel: 'virtualscsi',
          file: 'appliance-delta.vmdk.gz',
          parents: ['appliance-base.vmdk'],
        },
        ...{ capacity: 16 * GiB, compression: 'gzip', format: 'vmdk', bootOrder: 1 },
      },
      { kind: 'disk', file: null, capacity: 100 * MiB, format: null },
      { kind: 'floppy', controller: 'floppy', file: null, bootOrder: 2 },
    ])
  })

  test('a card that is not connected, and values that are asked for', () => {
    const { nics, unknown } = machine(ESXI_8)
    expect(nics).toEqual([{ model: 'vmxnet3', mac: '00:50:56:aa:bb:cc', network: 'VM Network', connected: false }])
    expect(unknown).toEqual(['Values that the machine asks for when it is deployed (ip0, password): left out.'])
  })
})

describe('OVF 2.0', () => {
  test('a collection, nested, gives its machines', () => {
    const { machines } = parse(COLLECTION_2)
    expect(machines.map(({ name }) => name)).toEqual(['web', 'Database'])
    expect(machines[0]).toMatchObject({
      ...{ cpus: 2, memoryMiB: 1024, arch: 'x86_64', licences: ['For both.'] },
      drives: [{ kind: 'disk', controller: 'virtio', file: 'web.qcow2', format: 'qcow2', capacity: 2 * GiB }],
      nics: [{ model: 'virtio', network: 'front' }],
      unknown: ['Part “StartupSection” of the collection of machines: left out.'],
    })
    expect(machines[1]).toMatchObject({ cpus: null, memoryMiB: null, drives: [], licences: ['For both.'] })
  })
})

describe('OVF 0.9 of VirtualBox', () => {
  test('has its sections by type', () => {
    const old = `<Envelope xmlns="http://schemas.dmtf.org/ovf/1/envelope" xmlns:ovf="http://schemas.dmtf.org/ovf/1/envelope" xmlns:rasd="r" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<References><File ovf:id="file1" ovf:href="old.vmdk"/></References>
<Section xsi:type="ovf:DiskSection_Type"><Info>d</Info><Disk ovf:capacity="4096" ovf:diskId="vmdisk1" ovf:fileRef="file1"/></Section>
<Content ovf:id="old" xsi:type="ovf:VirtualSystem_Type"><Info>m</Info>
<Section ovf:id="36" xsi:type="ovf:OperatingSystemSection_Type"><Info/><Description>Linux26</Description></Section>
<Section xsi:type="ovf:VirtualHardwareSection_Type"><Info/>
<Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceId>3</rasd:InstanceId><rasd:ResourceType>5</rasd:ResourceType></Item>
<Item><rasd:HostResource>disk/vmdisk1</rasd:HostResource><rasd:InstanceId>4</rasd:InstanceId><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
</Section></Content></Envelope>`
    expect(machine(old)).toMatchObject({
      name: 'old',
      arch: 'i386',
      memoryMiB: 64,
      drives: [{ controller: 'ide', file: 'old.vmdk', capacity: 4096 }],
    })
  })
})

describe('hostile references', () => {
  test.each([
    '../../etc/passwd',
    '/etc/passwd',
    'C:\\disk.vmdk',
    'http://example.org/a.vmdk',
    'a/../../b.vmdk',
    '..%2fb.vmdk',
    'a%00b',
    '',
    '%2e%2e/b',
  ])('“%s” is not followed', (href) => {
    const found = machine(descriptor({ files: `<File ovf:id="f" ovf:href="${href}"/>`, disks: DISK, items: disk17('ovf:/disk/d') }))
    expect(found.drives).toEqual([])
    expect(found.unknown).toEqual(['Disk “”, whose file is outside of the package: left out.'])
  })

  test('an image that is not in the package', () => {
    const found = machine(
      descriptor({ items: disk17('/vmfs/volumes/a.vmdk') + item({ HostResource: 'nfs://x/a.iso', InstanceID: 4, ResourceType: 15 }) }),
    )
    expect(found.drives).toMatchObject([{ kind: 'cdrom', file: null }])
    expect(found.unknown).toHaveLength(2)
  })
})

describe('what is wrong', () => {
  test.each([
    ['no XML', 'hello', 'not proper XML'],
    ['another root', '<a/>', 'not an OVF descriptor'],
    ['another version', '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/9"/>', 'not an OVF descriptor'],
    ['no machine', '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>', 'describes no machine'],
    ['two files of one id', descriptor({ files: FILE + FILE }), 'two files with the id “f”'],
    ['a disk without its file', descriptor({ disks: DISK }), 'not listed'],
    ['a drive without its disk', descriptor({ items: disk17('ovf:/disk/d') }), 'not described'],
    [
      'a disk that rests on itself',
      descriptor({ disks: '<Disk ovf:diskId="d" ovf:parentRef="d"/>', items: disk17('ovf:/disk/d') }),
      'on itself',
    ],
    [
      'disks that rest on each other',
      descriptor({
        disks: '<Disk ovf:diskId="d" ovf:parentRef="e"/><Disk ovf:diskId="e" ovf:parentRef="d"/>',
        items: disk17('ovf:/disk/e'),
      }),
      'on itself',
    ],
    ['a file in pieces', descriptor({ files: '<File ovf:id="f" ovf:href="a" ovf:chunkSize="5"/>' }), 'cut in pieces'],
    ['another compression', descriptor({ files: '<File ovf:id="f" ovf:href="a" ovf:compression="rot13"/>' }), 'compressed'],
    [
      'too many files',
      descriptor({ files: Array.from({ length: 5000 }, (_, at) => `<File ovf:id="${at}" ovf:href="a"/>`).join('') }),
      '5000 files',
    ],
    ['too many parts', descriptor({ items: item({ ResourceType: 1 }).repeat(3000) }), 'more than 2048 parts'],
    ['too many drives', descriptor({ items: item({ ResourceType: 15 }).repeat(300) }), '300 drives'],
    ['too many network cards', descriptor({ items: item({ ResourceType: 10 }).repeat(100) }), '100 network cards'],
    ['too many machines', descriptor({ envelope: '<VirtualSystem ovf:id="x"/>'.repeat(100) }), 'machines'],
    ['entities of its own', `<!DOCTYPE a [<!ENTITY b "c">]>${descriptor({})}`, 'entities'],
    ['an entity', descriptor({ machine: '<Name>&b;</Name>' }), 'undefined entity'],
  ])('%s', (_, text, sentence) => {
    expect(() => parse(text)).toThrow(AppError)
    expect(() => parse(text)).toThrow(sentence)
    expect(() => parse(text)).toThrow('a.ovf')
  })
})

test('sizes that are properties, or more than can be, are unknown', () => {
  const found = machine(
    descriptor({
      files: FILE,
      disks: `<Disk ovf:capacity="\${size}" ovf:diskId="d" ovf:fileRef="f"/><Disk ovf:capacity="9999999999999999" ovf:capacityAllocationUnits="byte * 2^40" ovf:diskId="e"/>`,
      items:
        disk17('ovf:/disk/d') +
        item({ HostResource: 'ovf:/disk/e', InstanceID: 10, ResourceType: 17 }) +
        item({ InstanceID: 2, ResourceType: 4, VirtualQuantity: '${ram}' }),
    }),
  )
  expect(found.drives).toMatchObject([{ file: 'a.vmdk', capacity: null }])
  expect(found.memoryMiB).toBeNull()
  expect(found.unknown).toEqual(['Disk “”, which has neither an image nor a size: left out.'])
})

test('of several subtypes the one that suits is taken', () => {
  const found = machine(
    descriptor({
      files: FILE,
      disks: DISK,
      items:
        item({ InstanceID: 1, ResourceSubType: 'virtio lsilogic', ResourceType: 6 }) +
        item({ HostResource: 'ovf:/disk/d', InstanceID: 2, Parent: 1, ResourceType: 17 }) +
        ['VMXNET3 virtio', 'E1000 PCNet32', 'foo E1000', 'foo', '']
          .map((subType, at) => item({ InstanceID: 3 + at, ResourceSubType: subType, ResourceType: 10 }))
          .join(''),
    }),
  )
  expect(found.drives[0]!.controller).toBe('virtio')
  expect(found.nics.map(({ model }) => model)).toEqual(['virtio', 'e1000', 'e1000', 'other', null])
})
