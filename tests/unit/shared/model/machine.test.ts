import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { settings, settingsSchema } from '../../../../src-shared/api/settings.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { macSchema } from '../../../../src-shared/model/mac.ts'
import {
  diskPathSchema,
  filePathSchema,
  isAbsolutePath,
  MACHINE_SCHEMA,
  machineConfigSchema,
  machinePatchSchema,
  parseMachineConfig,
} from '../../../../src-shared/model/machine.ts'
import { randomMac } from '../../../../src-shared/model/mac.ts'

const least = {
  schema: MACHINE_SCHEMA,
  id: '3f2b8c1e-5a6d-4e7f-8a9b-0c1d2e3f4a5b',
  created: '2026-01-02T03:04:05.000Z',
  name: 'a',
  boot: { kind: 'firmware' },
}
const problemOf = (json: unknown): AppError => {
  try {
    parseMachineConfig(json)
  } catch (error) {
    return error as AppError
  }
  throw new Error('It was accepted.')
}

describe('parseMachineConfig', () => {
  test('fills in every default, and reads back what it wrote', () => {
    const config = parseMachineConfig(least)
    expect(config).toMatchObject({
      engine: 'auto',
      arch: 'i386',
      cpus: 1,
      memoryMiB: 256,
      firmware: 'bios',
      tpm: false,
      devices: 'auto',
      display: 'auto',
      sharedFolders: [],
      drives: [],
      nics: [],
      serialPorts: 1,
      tags: [],
      notes: '',
      guest: null,
    })
    expect(config.boot).toEqual({ kind: 'firmware', order: ['disk', 'cdrom', 'floppy'] })
    expect(parseMachineConfig(JSON.parse(JSON.stringify(config)))).toEqual(config)
  })

  const drive = { id: 'd', kind: 'disk', path: 'disks/a.img' }
  const share = { tag: 'src', path: '/srv/src' }
  const nic = { id: 'n', mac: '52:54:00:00:00:01' }
  const bad: [string, Record<string, unknown>, string, string][] = [
    ['memory of 7 MiB', { memoryMiB: 7 }, 'memoryMiB', '7 MiB is too little'],
    ['memory of 99,999,999 MiB', { memoryMiB: 99_999_999 }, 'memoryMiB', '99999999 MiB is more memory'],
    ['no processor', { cpus: 0 }, 'cpus', 'at least one processor'],
    ['65 processors', { cpus: 65 }, 'cpus', 'at most 64'],
    ['an unknown firmware', { firmware: 'coreboot' }, 'firmware', ''],
    ['an unknown architecture', { arch: 'm68k' }, 'arch', ''],
    ['a drive that may do nothing', { drives: [{ ...drive, limits: { iops: 0 } }] }, 'drives.0.limits.iops', 'at least one operation'],
    ['a shared folder in the bundle', { sharedFolders: [{ tag: 'a', path: 'shared' }] }, 'sharedFolders.0.path', 'full path'],
    ['a tag with a comma', { sharedFolders: [{ tag: 'a,b', path: '/srv' }] }, 'sharedFolders.0.tag', 'letters, digits'],
    ['two shared folders of one tag', { sharedFolders: [share, share] }, 'sharedFolders.1.tag', 'same tag'],
    ['half a MiB', { memoryMiB: 100.5 }, 'memoryMiB', 'whole number'],
    ['memory as text', { memoryMiB: '256' }, 'memoryMiB', 'number of MiB'],
    ['a name with ../', { name: '../a' }, 'name', '/'],
    ['a name with a control character', { name: 'a\u0007' }, 'name', 'control'],
    ['no name', { name: undefined }, 'name', ''],
    ['an id that is none', { id: '../x' }, 'id', ''],
    ['a date that is none', { created: 'yesterday' }, 'created', ''],
    ['an unknown field', { colour: 'red' }, 'colour', 'no field'],
    ['an unknown boot', { boot: { kind: 'network' } }, 'boot.kind', ''],
    ['a kernel without file', { boot: { kind: 'kernel', kernel: '' } }, 'boot.kernel', 'Choose a file'],
    ['a long command line', { boot: { kind: 'kernel', kernel: 'k', cmdline: 'x'.repeat(2048) } }, 'boot.cmdline', '2,047'],
    ['a path out of the bundle', { drives: [{ ...drive, path: 'disks/../../x' }] }, 'drives.0.path', 'leaves'],
    ['a path out of the bundle, Windows', { drives: [{ ...drive, path: '..\\x' }] }, 'drives.0.path', 'leaves'],
    ['a path with half a drive', { drives: [{ ...drive, path: 'C:x.img' }] }, 'drives.0.path', 'drive letter'],
    ['a path with a NUL', { drives: [{ ...drive, path: 'a\0b' }] }, 'drives.0.path', 'control'],
    ['a disk without image', { drives: [{ ...drive, path: null }] }, 'drives.0.path', 'needs an image'],
    ['two drives of one id', { drives: [drive, drive] }, 'drives.1.id', 'same id'],
    ['nine drives', { drives: Array.from({ length: 9 }, (_, at) => ({ ...drive, id: `d${at}` })) }, 'drives', 'at most 8'],
    ['a bus that nobody knows', { drives: [{ ...drive, bus: 'scsi' }] }, 'drives.0.bus', ''],
    ['a bus for a CD', { drives: [{ ...drive, kind: 'cdrom', bus: 'usb' }] }, 'drives.0.bus', 'Only disks'],
    ['a cache for a floppy', { drives: [{ ...drive, kind: 'floppy', cache: 'none' }] }, 'drives.0.cache', 'Only disks'],
    ['an address that is none', { drives: [{ ...drive, path: 'nbds://server/x' }] }, 'drives.0.path', 'without TLS'],
    ['a CD on the network', { drives: [{ ...drive, kind: 'cdrom', path: 'nbd://server/x' }] }, 'drives.0.path', 'Only disks'],
    ['a kernel on the network', { boot: { kind: 'kernel', kernel: 'nbd://server/x' } }, 'boot.kernel', 'address on the network'],
    ['a format that nobody knows', { drives: [{ ...drive, format: 'zip' }] }, 'drives.0.format', ''],
    ['a multicast MAC', { nics: [{ ...nic, mac: '01:00:5e:00:00:01' }] }, 'nics.0.mac', 'unicast'],
    ['a MAC that is none', { nics: [{ ...nic, mac: '52:54:00' }] }, 'nics.0.mac', 'six pairs'],
    ['two NICs of one MAC', { nics: [nic, { ...nic, id: 'm' }] }, 'nics.1.mac', 'same MAC'],
    ['no serial port', { serialPorts: 0 }, 'serialPorts', 'at least one'],
    ['five serial ports', { serialPorts: 5 }, 'serialPorts', 'at most 4'],
    ['a folder that climbs', { folder: ['a', '..'] }, 'folder.1', 'full stop'],
    ['notes without end', { notes: 'x'.repeat(64 * 1024 + 1) }, 'notes', '64 KiB'],
  ]
  test.each(bad)('refuses %s, at its field', (_name, change, path, sentence) => {
    const error = problemOf({ ...least, ...change })
    expect(error.code).toBe('corrupt')
    expect(error.message).toContain('machine.json')
    const field = error.details.fields?.find((one) => one.path === path)
    expect(field?.message, JSON.stringify(error.details.fields)).toContain(sentence)
  })

  test('tells all wrong fields at once', () => {
    const error = problemOf({ ...least, memoryMiB: 7, serialPorts: 9, name: '' })
    expect(error.details.fields?.map(({ path }) => path).sort()).toEqual(['memoryMiB', 'name', 'serialPorts'])
  })

  test('a newer version is refused as such, whatever else is in it', () => {
    const error = problemOf({ schema: 2, whatever: true })
    expect(error).toMatchObject({ code: 'newer-version', message: expect.stringContaining('newer Coppice') as string })
    for (const schema of [0, -1, '1', '2', null, undefined]) expect(problemOf({ ...least, schema }).code).toBe('corrupt')
  })

  test('any JSON gives a config or an AppError', () => {
    const fields = Object.keys(machineConfigSchema.shape)
    const near = fc
      .tuple(fc.constantFrom(...fields, '__proto__', 'constructor'), fc.jsonValue())
      .map(([name, value]) => ({ ...least, [name]: value }))
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), near), (json) => {
        try {
          expect(parseMachineConfig(json).schema).toBe(MACHINE_SCHEMA)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
          expect((error as AppError).message).toMatch(/\.$/)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('changes', () => {
  test('a change of one field is just that: no default resets the others', () => {
    expect(machinePatchSchema.parse({ notes: 'x' })).toEqual({ notes: 'x' })
    expect(machinePatchSchema.parse({})).toEqual({})
    expect(settings.members.set.input.parse({ theme: 'dark' })).toEqual({ theme: 'dark' })
  })

  test('fields are checked as in the whole; what must not change is unknown', () => {
    expect(machinePatchSchema.safeParse({ memoryMiB: 7 }).success).toBe(false)
    expect(machinePatchSchema.safeParse({ name: '../x' }).success).toBe(false)
    for (const name of ['id', 'schema', 'created', 'colour']) expect(machinePatchSchema.safeParse({ [name]: 1 }).success).toBe(false)
    expect(settings.members.set.input.safeParse({ consoleFontSize: 1000 }).success).toBe(false)
    expect(settingsSchema.parse({})).toMatchObject({ theme: 'system' })
  })
})

describe('paths and addresses', () => {
  test.each(['/a', 'nbd://server/disk', 'nfs://server/a.img', 'C:\\a', 'c:/a', '\\\\server\\share'])('%j is absolute', (path) => {
    expect(isAbsolutePath(path)).toBe(true)
    expect(diskPathSchema.safeParse(path).success).toBe(true)
    expect(filePathSchema.safeParse(path).success).toBe(!path.includes('://'))
  })
  test.each(['a', 'disks/a.img', 'C:', 'C:a', './a'])('%j is not', (path) => expect(isAbsolutePath(path)).toBe(false))

  test('random MACs are valid and under 52:54:00', () => {
    for (let times = 0; times < 100; times++) {
      const mac = randomMac()
      expect(mac).toMatch(/^52:54:00:/)
      expect(macSchema.safeParse(mac).success).toBe(true)
    }
  })
})
