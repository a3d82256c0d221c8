import { describe, expect, test } from 'vitest'
import { checkExit, checkLine, imageFacts, imageLine } from '../../../../src-main/app/cli/disk-words.ts'
import type { ImageCheck, ImageInfo } from '../../../../src-shared/model/image-info.ts'

const info: ImageInfo = {
  ...{ path: '/d/a.qcow2', format: 'qcow2', size: 10 * 2 ** 30, fileBytes: 262144, storedBytes: 512, backing: null },
  details: [{ label: 'Cluster size', value: '64 KiB' }],
  ...{ layers: [], problem: null },
}

describe('an image in words', () => {
  test('has its sizes, what its format says, and what is wrong below it', () => {
    expect(imageFacts(info)).toEqual([
      ['file', '/d/a.qcow2'],
      ['format', 'qcow2'],
      ['disk size', '10 GiB (10737418240 bytes)'],
      ['file size', '256 KiB (262144 bytes)'],
      ['room taken', '512 B'],
      ['cluster size', '64 KiB'],
    ])
    expect(imageFacts({ ...info, backing: 'b.img', problem: 'It is not there.' }).slice(-2)).toEqual([
      ['rests on', 'b.img'],
      ['problem', 'It is not there.'],
    ])
  })

  test('fits a line', () => {
    expect(imageLine(info)).toBe('qcow2, 10 GiB, takes 512 B')
  })
})

describe('a check in words', () => {
  const found = (corruptions: number, repairedCorruptions: number, leaks: number, repairedLeaks: number): ImageCheck => ({
    ...{ corruptions, repairedCorruptions, leaks, repairedLeaks },
    findings: [],
  })

  test.each([
    [found(0, 0, 0, 0), 0, 'no errors found'],
    [found(0, 0, 1, 0), 3, '1 leaked cluster'],
    [found(0, 0, 2, 2), 0, '2 leaked clusters repaired'],
    [found(2, 0, 3, 0), 4, '2 corruptions, 3 leaked clusters'],
    [found(2, 1, 3, 3), 4, '1 of 2 corruptions repaired, 3 leaked clusters repaired'],
    [found(1, 1, 3, 2), 3, '1 corruption repaired, 2 of 3 leaked clusters repaired'],
  ])('%o ends with %i', (check, exit, line) => {
    expect(checkExit(check)).toBe(exit)
    expect(checkLine(check)).toBe(line)
  })
})
