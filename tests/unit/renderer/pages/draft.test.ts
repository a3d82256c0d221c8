import { describe, expect, test } from 'vitest'
import {
  draftErrors,
  emptyDraft,
  nameFromPath,
  questionOf,
  toNewMachine,
  type Draft,
} from '../../../../src-renderer/pages/new-machine/draft.ts'
import { GiB } from '../../../../src-shared/base/units.ts'

const draft = (change: Partial<Draft>): Draft => ({ ...emptyDraft('sample'), name: 'web', ...change })

describe('a draft of a machine', () => {
  test('is complete for Coppice Linux with a name alone', () => {
    expect(draftErrors(draft({}))).toEqual({})
    expect(toNewMachine(draft({}))).toEqual({
      name: 'web',
      source: { kind: 'sample' },
      engine: 'auto',
      serialPorts: 1,
      networks: ['default'],
    })
  })
  test('asks for what its source needs, at the field', () => {
    expect(draftErrors(draft({ kind: 'iso' }))).toEqual({ 'source.path': 'Choose a file.' })
    expect(draftErrors(draft({ kind: 'disk' }))).toEqual({ 'source.path': 'Choose a file.' })
    expect(draftErrors(draft({ kind: 'kernel' }))).toEqual({ 'source.kernel': 'Choose a file.' })
  })
  test('forgets the fields of other sources', () => {
    expect(toNewMachine(draft({ kind: 'kernel', kernel: '/k ', iso: '/x.iso' })).source).toEqual({
      kind: 'kernel',
      kernel: '/k',
      initrd: null,
      cmdline: 'console=ttyS0',
    })
  })
  test('has a disk beside an ISO, its size in whole sectors', () => {
    expect(toNewMachine(draft({ kind: 'iso', iso: '/x.iso', diskSize: '2G' })).newDiskBytes).toBe(2 * GiB)
    expect((toNewMachine(draft({ kind: 'iso', iso: '/x.iso', diskSize: '1000001' })).newDiskBytes ?? 1) % 512).toBe(0)
    expect(toNewMachine(draft({ kind: 'iso', iso: '/x.iso', addDisk: false }))).not.toHaveProperty('newDiskBytes')
    expect(draftErrors(draft({ kind: 'iso', iso: '/x.iso', diskSize: 'big' }))['newDiskBytes']).toContain('“big”')
    expect(draftErrors(draft({ kind: 'iso', iso: '/x.iso', diskSize: '5 TiB' }))['newDiskBytes']).toContain('1 TiB')
  })
  test('asks for hardware only what was chosen; firmware only where a boot loader meets it', () => {
    const hardware = { memoryMiB: 512, cpus: 2, engine: 'qemu', arch: 'x86_64', firmware: 'uefi', tpm: true, devices: 'legacy' } as const
    expect(toNewMachine(draft({ kind: 'iso', iso: '/x.iso', addDisk: false, ...hardware }))).toMatchObject(hardware)
    const sample = toNewMachine(draft(hardware))
    expect(sample).toMatchObject({ memoryMiB: 512, cpus: 2, engine: 'qemu', arch: 'x86_64' })
    for (const field of ['firmware', 'tpm', 'devices']) expect(sample).not.toHaveProperty(field)
  })
  test('is asked about before it is complete, and not while a figure is wrong', () => {
    expect(questionOf(draft({ kind: 'iso', name: '' }))).toEqual({
      source: { kind: 'iso' },
      engine: 'auto',
      serialPorts: 1,
      firmware: 'bios',
      tpm: false,
    })
    expect(questionOf(draft({ kind: 'kernel', kernel: 'vmlinuz' }))!.source).toEqual({ kind: 'kernel' })
    expect(questionOf(draft({ kind: 'kernel', kernel: '/boot/vmlinuz' }))!.source).toEqual({ kind: 'kernel', kernel: '/boot/vmlinuz' })
    expect(questionOf(draft({ memoryMiB: NaN }))).toBeNull()
  })
  test.each([
    [7, '7 MiB is too little'],
    [99_999_999, '99999999 MiB is more'],
    [NaN, 'number'],
    [64.5, 'whole number'],
  ])('refuses %s MiB of memory with a sentence', (memoryMiB, sentence) => {
    expect(draftErrors(draft({ memoryMiB }))['memoryMiB']).toContain(sentence)
  })
  test.each(['', '../x', 'a\u0007b', ' x', 'con'])('refuses the name %j', (name) => {
    expect(draftErrors(draft({ name }))['name']).toBeTypeOf('string')
  })
})

test.each([
  ['/isos/debian-12.5.0-i386.iso', 'debian-12.5.0-i386'],
  ['C:\\images\\Windows.raw', 'Windows'],
  ['disk.img.gz', 'disk'],
  ['', ''],
])('%s suggests the name %j', (path, name) => {
  expect(nameFromPath(path)).toBe(name)
})
