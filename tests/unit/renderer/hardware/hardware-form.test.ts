import { describe, expect, test } from 'vitest'
import {
  addDevice,
  addSharedFolder,
  deviceOfField,
  formErrors,
  formOf,
  hardwareOf,
  patchOf,
  removeDevice,
  whyNotAdd,
} from '../../../../src-renderer/pages/machine/hardware/hardware-form.ts'
import { machineConfigSchema, MAX_DRIVES, type MachineConfig } from '../../../../src-shared/model/machine.ts'

function config(change: Partial<MachineConfig> = {}): MachineConfig {
  return machineConfigSchema.parse({
    schema: 1,
    id: '3e1c2a9e-4df0-4f4b-8a51-0f2c5a1b7c11',
    created: '2026-01-01T00:00:00Z',
    name: 'web-1',
    boot: { kind: 'kernel', kernel: 'boot/vmlinuz', initrd: 'boot/initrd' },
    drives: [{ id: 'disk0', kind: 'disk', path: 'disks/disk0.img' }],
    nics: [{ id: 'nic0', mac: '52:54:00:12:34:56' }],
    ...change,
  })
}

describe('the hardware form', () => {
  test('an untouched form changes nothing', () => {
    expect(patchOf(formOf(config()), config())).toEqual({})
    const firmware = config({ boot: { kind: 'firmware', order: ['disk'] } })
    expect(patchOf(formOf(firmware), firmware)).toEqual({})
  })

  test('only the members that changed are sent', () => {
    const form = formOf(config())
    form.memoryMiB = 512
    form.nics[0]!.mac = ' 52:54:00:AB:CD:EF '
    expect(patchOf(form, config())).toEqual({
      memoryMiB: 512,
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:ab:cd:ef', link: 'auto', network: null }],
    })
  })

  test('the other way to boot and back keeps what was typed', () => {
    const form = formOf(config())
    form.bootKind = 'firmware'
    expect(hardwareOf(form).boot).toEqual({ kind: 'firmware', order: ['cdrom', 'disk', 'floppy'] })
    form.bootKind = 'kernel'
    expect(patchOf(form, config())).toEqual({})
  })

  test('an empty initrd is none, an empty CD drive is empty', () => {
    const form = formOf(config())
    form.initrd = '  '
    const cd = addDevice('cdrom', form)
    expect(cd).toBe('drive:cd0')
    expect(hardwareOf(form).boot).toMatchObject({ initrd: null })
    expect(hardwareOf(form).drives[1]).toEqual({ id: 'cd0', kind: 'cdrom', path: null, format: 'raw', readOnly: true, limits: null })
    expect(formErrors(form, config())).toEqual({})
  })

  test('every wrong field is named', () => {
    const form = formOf(config())
    form.memoryMiB = 7
    form.kernel = ''
    addDevice('disk', form)
    addDevice('nic', form)
    form.nics[1]!.mac = '52:54:00:12:34:56'
    form.drives[0]!.path = '../outside.img'
    expect(Object.keys(formErrors(form, config())).sort()).toEqual([
      'boot.kernel',
      'drives.0.path',
      'drives.1.path',
      'memoryMiB',
      'nics.1.mac',
    ])
    expect(formErrors(form, config())).toMatchObject({
      'drives.1.path': 'A disk needs an image file.',
      'nics.1.mac': 'Two network cards have the same MAC address.',
    })
    form.memoryMiB = NaN
    expect(formErrors(form, config())).toMatchObject({ memoryMiB: 'Memory must be a number of MiB.' })
  })

  test('fields lead to their devices', () => {
    const form = formOf(config())
    expect(deviceOfField('drives.0.path', form)).toBe('drive:disk0')
    expect(deviceOfField('nics.0.mac', form)).toBe('nic:nic0')
    expect(deviceOfField('boot.cmdline', form)).toBe('boot')
    expect(deviceOfField('drives.9.path', form)).toBeNull()
    expect(deviceOfField('drives', form)).toBeNull()
    expect(deviceOfField('name', form)).toBeNull()
  })

  test('ids are free ones, and limits are said', () => {
    const form = formOf(config())
    addDevice('disk', form)
    removeDevice('drive:disk0', form)
    expect(addDevice('disk', form)).toBe('drive:disk0')
    addDevice('floppy', form)
    while (form.drives.length < MAX_DRIVES) addDevice('cdrom', form)
    expect(whyNotAdd('disk', form)).toBe(`A machine has at most ${MAX_DRIVES} drives.`)
    expect(whyNotAdd('nic', form)).toBeNull()
    for (let at = 0; at < 3; at++) addDevice('nic', form)
    expect(whyNotAdd('nic', form)).toBe('A machine has at most 4 network cards.')
  })

  test('a shared folder is read-only, and its tag is its name as far as tags can say it', () => {
    const form = formOf(config())
    for (const path of ['/srv/My papers (2026)/', 'C:\\work', '/other/work', '/', '/.config', `/${'x'.repeat(40)}`])
      addSharedFolder(path, form)
    expect(form.sharedFolders.map(({ tag }) => tag)).toEqual(['My-papers-2026', 'work', 'work-2', 'share', 'config', 'x'.repeat(28)])
    expect(form.sharedFolders.every(({ readOnly }) => readOnly)).toBe(true)
    expect(formErrors(form, config())).toEqual({})
    form.sharedFolders[1]!.tag = ' padded '
    expect(hardwareOf(form).sharedFolders[1]).toEqual({ tag: 'padded', path: 'C:\\work', readOnly: true })
    form.sharedFolders[2]!.path = 'relative'
    expect(Object.keys(formErrors(form, config()))).toEqual(['sharedFolders.2.path'])
    expect(deviceOfField('sharedFolders.2.path', form)).toBe('shares')
  })
})
