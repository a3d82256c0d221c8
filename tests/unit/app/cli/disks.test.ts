/** Disks on the command line: `--disk FILE-or-SIZE`. */
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addNewDisk, newDiskArgument } from '../../../../src-main/app/cli/arguments.ts'
import { sourceOf } from '../../../../src-main/app/cli/commands/create.ts'

const file = (path: string) => ({ kind: 'file' as const, path })
const GiB = 1024 ** 3

describe('--disk', () => {
  it('takes sizes, files and addresses', () => {
    expect(newDiskArgument('20G')).toEqual({ kind: 'new', bytes: 20 * GiB })
    expect(newDiskArgument('a.qcow2')).toEqual(file(resolve('a.qcow2')))
    expect(newDiskArgument('./20G')).toEqual(file(resolve('20G')))
    expect(newDiskArgument('nbd://server/a')).toEqual(file('nbd://server/a'))
    expect(() => newDiskArgument('1K')).toThrow('A disk needs at least 1 MiB.')
    expect(() => newDiskArgument('2000T')).toThrow('A disk can have at most 1 TiB.')
    expect(() => newDiskArgument('')).toThrow('The file’s path is empty.')
    expect(() => newDiskArgument('http://server/a')).toThrow('Coppice knows no disks at “http://”.')
    expect(addNewDisk('2G', addNewDisk('a'))).toEqual([file(resolve('a')), { kind: 'new', bytes: 2 * GiB }])
  })

  it('of a new machine boots from the first image unless it is told otherwise', () => {
    const disk = [{ kind: 'new' as const, bytes: GiB }, file('/a'), file('/b')]
    expect(sourceOf({ disk })).toEqual({ source: { kind: 'disk', path: '/a', copy: true }, disks: [disk[0], file('/b')] })
    expect(sourceOf({ disk: [file('nbd://server/a')] })).toEqual({
      source: { kind: 'disk', path: 'nbd://server/a', copy: false },
      disks: [],
    })
    expect(sourceOf({ disk, iso: '/c.iso' })).toEqual({ source: { kind: 'iso', path: '/c.iso' }, disks: disk })
    expect(() => sourceOf({ disk: [disk[0]!] })).toThrow('Say what it boots')
    expect(() => sourceOf({ sample: true, iso: '/c.iso' })).toThrow('A machine is made from one thing, not from --sample and --iso.')
  })
})
