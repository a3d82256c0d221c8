/** Machines in folders: VMware's .vmx, VirtualBox's .vbox, UTM's config.plist. */
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ForeignMachine } from '../../../../src-main/host/exchange/foreign-machine.ts'
import { parseUtm } from '../../../../src-main/host/exchange/utm/parse-utm.ts'
import { parseVbox } from '../../../../src-main/host/exchange/virtualbox/parse-vbox.ts'
import { parseVmx } from '../../../../src-main/host/exchange/vmware/parse-vmx.ts'
import { ESXI_8_VMX, UTM_4, VIRTUALBOX_7_VBOX, WORKSTATION_17_VMX } from './fixtures/folders.ts'

const vmx = (text: string): ForeignMachine => parseVmx(utf8(text), 'a.vmx')
const vbox = (text: string): ForeignMachine => parseVbox(utf8(text), 'a.vbox')
const utm = (text: string): ForeignMachine => parseUtm(utf8(text), 'a.utm')

describe('.vmx of Workstation 17', () => {
  test('is read whole', () => {
    expect(vmx(WORKSTATION_17_VMX)).toEqual({
      ...{ name: 'Fedora 40 "work"', notes: 'First line\nSecond line', guest: { family: 'linux', label: 'fedora-64' }, arch: 'x86_64' },
      ...{ firmware: 'uefi-secure', tpm: true, cpus: 4, memoryMiB: 4096, serialPorts: 1, display: null, licences: [] },
      drives: [
        expect.objectContaining({ kind: 'disk', controller: 'nvme', file: 'Fedora-000002.vmdk', format: 'vmdk', bootOrder: 2 }),
        expect.objectContaining({ kind: 'disk', controller: 'scsi', controllerModel: 'lsilogic', file: 'Data disk.vmdk', bootOrder: 2 }),
        expect.objectContaining({ kind: 'cdrom', controller: 'sata', file: null, bootOrder: 1 }),
      ],
      nics: [
        { model: 'vmxnet3', mac: '00:0c:29:3f:91:ab', network: 'nat', connected: true },
        { model: 'e1000e', mac: '00:50:56:00:00:01', network: 'VMnet2', connected: false },
      ],
      unknown: [
        'Sound card (hdaudio): left out.',
        'Shared folder “projects”: left out.',
        '3D acceleration of the display: left out.',
        'Saved firmware settings (Fedora.nvram): left out.',
        'Disk scsi0:0 forgot what was written to it at every power-off. Here it keeps it.',
        'CD “/home/me/Downloads/Fedora-40.iso”, which is outside of the machine’s folder: left out.',
      ],
    })
  })
})

describe('.vmx of ESXi 8', () => {
  test('is read whole', () => {
    expect(vmx(ESXI_8_VMX)).toMatchObject({
      ...{ name: 'old-server', guest: { family: 'windows', label: 'windows7srv' }, arch: 'i386', firmware: 'bios', tpm: false, cpus: 1 },
      memoryMiB: 2048,
      drives: [
        { kind: 'disk', controller: 'scsi', controllerModel: 'pvscsi', file: 'old-server.vmdk' },
        { kind: 'cdrom', controller: 'ide', file: null },
      ],
      nics: [{ model: 'pcnet', mac: '00:50:56:98:12:34', network: 'VM Network', connected: true }],
      unknown: [
        'PCI device of the host (0): left out.',
        'Disk “/vmfs/volumes/5f3c/shared/data.vmdk”, which is outside of the machine’s folder: left out.',
        'CD drive of the host (ide0:0): the drive is empty here.',
      ],
    })
  })
})

describe('.vmx', () => {
  test('in the encoding that it names, or by its mark', () => {
    const text = (name: string): string => `.encoding = "windows-1252"\nconfig.version = "8"\ndisplayName = "${name}"\n`
    expect(parseVmx(Buffer.from(text('Büro'), 'latin1'), 'a.vmx').name).toBe('Büro')
    expect(parseVmx(Buffer.from(`\ufeff${text('Büro')}`, 'utf8'), 'a.vmx').name).toBe('Büro')
    expect(parseVmx(Buffer.from('.encoding = "GBK"\nguestOS = "other"\ndisplayName = "\xd6\xd0"\n', 'latin1'), 'a.vmx').name).toBe('中')
  })

  test.each([
    ['hello world', 'line 1'],
    ['guestOS = "a', 'line 1'],
    ['a = "b"', 'does not describe a machine'],
    // As large as may be, and nothing in it: time must not grow faster than it.
    ['\n'.repeat(1024 * 1024), 'does not describe a machine'],
    [' '.repeat(1024 * 1024), 'does not describe a machine'],
    [`${'a'.repeat(1024 * 1024 - 1)}`, 'line 1'],
    [`a = ${' '.repeat(1024 * 1024 - 9)}"`, 'line 1'],
    ['\n'.repeat(1024 * 1024 + 1), '1024 KiB'],
    ['.encoding = "klingon"\nguestOS = "other"', 'unknown encoding'],
    ['guestOS = "\xff"', 'not text'],
    ['guestOS = "other"\nencryption.data = "abc"', 'encrypted'],
    [Array.from({ length: 21_000 }, (_, at) => `a${at} = "b"`).join('\n'), 'more than 20000 settings'],
    [`guestOS = "other"\n${Array.from({ length: 80 }, (_, at) => `ethernet${at}.present = "TRUE"`).join('\n')}`, '80 network cards'],
    [
      `guestOS = "other"\n${Array.from({ length: 300 }, (_, at) => `scsi${at % 4}:${Math.floor(at / 4)}.present = "TRUE"`).join('\n')}`,
      '300 drives',
    ],
  ])('%#: refused', (text, sentence) => {
    const parse = (): ForeignMachine => parseVmx(Buffer.from(text, 'latin1'), 'a.vmx')
    expect(parse).toThrow(AppError)
    expect(parse).toThrow(sentence)
  })
})

describe('.vbox of VirtualBox 7', () => {
  test('is read whole', () => {
    expect(vbox(VIRTUALBOX_7_VBOX)).toMatchObject({
      ...{ name: 'Windows 11', notes: 'For the accounts', guest: { family: 'windows', label: 'Windows11_64' }, arch: 'x86_64' },
      ...{ firmware: 'uefi', tpm: true, cpus: 4, memoryMiB: 8192, serialPorts: 0 },
      nics: [
        { model: 'e1000', mac: '08:00:27:00:00:01', network: 'NAT', connected: true },
        { model: 'virtio', mac: '08:00:27:00:00:02', network: 'eth0', connected: false },
      ],
    })
  })

  test('a disk rests on those of its snapshots; others are left out with their reason', () => {
    const { drives, unknown } = vbox(VIRTUALBOX_7_VBOX)
    expect(drives).toMatchObject([
      {
        ...{ kind: 'disk', controller: 'sata', bootOrder: 1, format: 'vdi' },
        file: 'Snapshots/{d0000000-0000-4000-8000-000000000003}.vdi',
        parents: ['Snapshots/{d0000000-0000-4000-8000-000000000002}.vdi', 'Windows 11.vdi'],
      },
      { kind: 'cdrom', file: null, bootOrder: 2 },
      { kind: 'floppy', controller: 'floppy', file: null, bootOrder: null },
    ])
    expect(unknown).toEqual([
      'Sound card (HDA): left out.',
      'Shared folders (docs): left out.',
      'Parallel port: left out.',
      'Remote display: left out.',
      'USB devices of the host: left out.',
      '3D acceleration of the display: left out.',
      'Saved firmware settings (Windows 11.nvram): left out.',
      'Snapshots (2): only the current state is taken.',
      'CD “/usr/share/virtualbox/VBoxGuestAdditions.iso”, which is outside of the machine’s folder: left out.',
      'Disk “D:\\disks\\data.vmdk”, which is outside of the machine’s folder: left out.',
      'Disk “secret.vdi”, which is encrypted: left out.',
      'Floppy drive of the host: the drive is empty here.',
    ])
  })

  test('a disk that rests on one outside', () => {
    const { drives, unknown } = vbox(VIRTUALBOX_7_VBOX.replace('location="Windows 11.vdi"', 'location="../Windows 11.vdi"'))
    expect(drives.map(({ kind }) => kind)).toEqual(['cdrom', 'floppy'])
    expect(unknown.join()).toContain('rests on a file outside')
  })

  test.each([
    ['<VirtualBox/>', 'does not describe a machine'],
    ['<VirtualBox><MachineEncrypted uuid="x"/></VirtualBox>', 'encrypted'],
    ['<Machine/>', 'does not describe a machine'],
    [
      `<VirtualBox><Machine><MediaRegistry><HardDisks>${Array.from({ length: 5000 }, (_, at) => `<HardDisk uuid="${at}" location="b"/>`).join('')}</HardDisks></MediaRegistry></Machine></VirtualBox>`,
      '4097 disk images',
    ],
    [`<VirtualBox><Machine><MediaRegistry><HardDisks>${'<HardDisk uuid="a" location="b">'.repeat(300)}`, 'deep'],
  ])('%#: refused', (text, sentence) => {
    expect(() => vbox(text)).toThrow(AppError)
    expect(() => vbox(text)).toThrow(sentence)
  })
})

describe('config.plist of UTM 4', () => {
  test('is read whole', () => {
    expect(utm(UTM_4)).toMatchObject({
      ...{ name: 'Debian on Arm', notes: 'Made on a laptop', arch: 'aarch64', firmware: 'uefi', tpm: false, cpus: null, memoryMiB: 4096 },
      ...{ serialPorts: 0, display: 'virtio' },
      drives: [
        { kind: 'disk', controller: 'virtio', file: 'Data/5A1F8E0E-2F0C-4D55-9C3E-0F1D2C3B4A59.qcow2', format: 'qcow2' },
        { kind: 'cdrom', controller: 'usb', file: null },
      ],
      nics: [{ model: 'virtio', mac: '1e:5f:7a:00:11:22', network: 'Shared', connected: true }],
      unknown: [
        'Sound card (intel-hda): left out.',
        'Shared folder (VirtFS): left out.',
        'Arguments for QEMU (-rtc base=utc): left out.',
        'Image “edk2.fd” (BIOS): left out.',
      ],
    })
  })

  test.each([
    ['bplist00', 'binary property list'],
    ['<plist/>', 'not a property list'],
    ['<plist><dict><key>a</key></dict></plist>', 'key without a value'],
    ['<plist><dict><integer>1</integer><key>a</key></dict></plist>', 'value without a key'],
    ['<plist><array><integer>x</integer></array></plist>', 'a number is none'],
    ['<plist><string>a</string></plist>', 'does not describe a machine'],
    [UTM_4.replace('<integer>4</integer>', '<integer>3</integer>'), 'older UTM'],
    [UTM_4.replace('<integer>4</integer>', '<integer>5</integer>'), 'version 5'],
    [UTM_4.replace('>QEMU</string>', '>Apple</string>'), 'Apple’s own'],
    [UTM_4.replace('>aarch64<', '>ppc64<'), 'ppc64'],
  ])('%#: refused', (text, sentence) => {
    expect(() => utm(text)).toThrow(AppError)
    expect(() => utm(text)).toThrow(sentence)
  })

  test('an image elsewhere is not followed', () => {
    for (const name of ['../secret.qcow2', '/etc/passwd', 'a/b.qcow2', 'C:\\a.qcow2'])
      expect(utm(UTM_4.replace(/<string>5A1F[^<]*\.qcow2</, `<string>${name}<`)).drives).toMatchObject([{ kind: 'cdrom' }])
  })
})
