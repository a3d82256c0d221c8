import { describe, expect, test } from 'vitest'
import { memberOrder, orderProblems, packageMembers, sealRemarks } from '../../../../../src-main/host/exchange/ovf/package-members.ts'

describe('members', () => {
  test('of a usual archive', () => {
    expect(packageMembers(['./a.ovf', 'a.mf', 'a.cert', 'a-disk1.vmdk', 'b.mf'], 'a.ova')).toEqual({
      ...{ descriptor: 'a.ovf', manifest: 'a.mf', certificate: 'a.cert' },
      others: ['a-disk1.vmdk', 'b.mf'],
    })
  })

  test.each([
    [['a.vmdk'], 'no OVF descriptor'],
    [['a.ovf', 'b.ovf'], 'several OVF descriptors: a.ovf, b.ovf'],
    [['a.ovf', '../b'], 'leads out of it'],
    [['a.ovf', '/b'], 'leads out of it'],
    [['a.ovf', 'b', './b'], 'two files of one name'],
    [Array.from({ length: 5000 }, (_, at) => `${at}`), 'more than 4096 files'],
  ])('%#: refused', (names, sentence) => expect(() => packageMembers(names, 'a.ova')).toThrow(sentence))
})

describe('order', () => {
  const problems = (...names: string[]): string[] => orderProblems(names, packageMembers(names, 'a.ova'), ['1.vmdk', '2.vmdk'])

  test.each([
    [['a.ovf', '1.vmdk', '2.vmdk']],
    [['a.ovf', 'a.mf', '1.vmdk', '2.vmdk']],
    [['a.ovf', 'a.mf', 'a.cert', '1.vmdk', '2.vmdk']],
    [['a.ovf', '1.vmdk', '2.vmdk', 'a.mf', 'a.cert']],
    [['a.ovf', '2.vmdk']],
    [memberOrder('a.ovf', 'a.mf', ['1.vmdk', '2.vmdk'])],
  ])('%j is one', (names) => expect(problems(...names)).toEqual([]))

  test('what is none is said', () => {
    expect(problems('a.mf', 'a.ovf', '1.vmdk')).toEqual(['The descriptor “a.ovf” is not the first file of the archive.'])
    expect(problems('a.ovf', '2.vmdk', 'a.mf', '1.vmdk')).toHaveLength(2)
    expect(problems('a.ovf', 'a.mf', '1.vmdk', 'a.cert')).toHaveLength(1)
  })
})

test('what assures a package', () => {
  const line = (file: string) => ({ file, kind: 'sha256', digest: '' }) as const
  const whole = packageMembers(['a.ovf', 'a.mf', '1.vmdk'], 'a.ova')
  expect(sealRemarks(whole, [line('a.ovf'), line('1.vmdk')])).toEqual([])
  expect(sealRemarks(whole, [line('a.ovf'), line('2.vmdk')])).toEqual([
    'In the manifest, but not in the package: 2.vmdk.',
    'Not in the manifest, and so not checked: 1.vmdk.',
  ])
  expect(sealRemarks(packageMembers(['a.ovf', 'a.cert'], 'a.ova'), null)).toEqual([
    'The package is signed (“a.cert”). Who signed it is not checked here.',
    'The package has no manifest: whether its files are whole cannot be checked.',
  ])
})
