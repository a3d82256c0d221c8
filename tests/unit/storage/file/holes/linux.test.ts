import { open, type FileHandle } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { linuxHoles, type LinuxCalls } from '../../../../../src-main/storage/file/holes/linux.ts'
import { openHoles } from '../../../../../src-main/storage/file/holes/open-holes.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'

const { EINTR, EINVAL, ENXIO, EOPNOTSUPP } = constants.errno
const GiB = 2 ** 30
const MiB = 2 ** 20
const PUNCH_KEEPING_SIZE = 3

function holesWith(calls: Partial<LinuxCalls>) {
  const unexpected = () => Promise.reject(new Error('not expected'))
  return linuxHoles(
    { fallocate: unexpected, lseek: unexpected, lseekNow: () => expect.unreachable(), ...calls },
    { file: { fd: 9 } as FileHandle, path: '/a.img', readOnly: false },
  )
}

/** A file of which each [start, end) is data. */
function fileOf(size: number, runs: [number, number][]): LinuxCalls['lseek'] {
  return (_fd, offset, whence) => {
    if (offset >= size) return Promise.resolve(-ENXIO)
    const run = runs.find(([, end]) => end > offset)
    if (whence === 3) return Promise.resolve(run ? Math.max(run[0], offset) : -ENXIO)
    return Promise.resolve(run && run[0] <= offset ? run[1] : offset)
  }
}

describe('punching', () => {
  test('a long hole is made in pieces, one after the other', async () => {
    const fallocate = vi.fn<LinuxCalls['fallocate']>().mockResolvedValue(0)
    expect(await holesWith({ fallocate }).punch(5, 5 + 2.5 * GiB)).toEqual({ start: 5, end: 5 + 2.5 * GiB })
    expect(fallocate.mock.calls).toEqual([
      [9, PUNCH_KEEPING_SIZE, 5, GiB],
      [9, PUNCH_KEEPING_SIZE, 5 + GiB, GiB],
      [9, PUNCH_KEEPING_SIZE, 5 + 2 * GiB, 0.5 * GiB],
    ])
  })

  test('goes on after a signal', async () => {
    const fallocate = vi.fn<LinuxCalls['fallocate']>().mockResolvedValueOnce(-EINTR).mockResolvedValue(0)
    expect(await holesWith({ fallocate }).punch(0, 10)).toEqual({ start: 0, end: 10 })
    expect(fallocate).toHaveBeenCalledTimes(2)
  })

  test('a file system that cannot is asked once, and the log says so', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => log.mockRestore())
    const fallocate = vi.fn<LinuxCalls['fallocate']>().mockResolvedValue(-EOPNOTSUPP)
    const holes = holesWith({ fallocate })
    expect(await holes.punch(0, 10)).toBeNull()
    expect(await holes.punch(0, 10)).toBeNull()
    expect(fallocate).toHaveBeenCalledTimes(1)
    expect(log.mock.calls).toEqual([[expect.stringContaining('/a.img')]])
  })

  test('one that failed half-way tells what is done; it is asked again', async () => {
    const fallocate = vi.fn<LinuxCalls['fallocate']>().mockResolvedValueOnce(0).mockResolvedValueOnce(-EINVAL).mockResolvedValue(0)
    const holes = holesWith({ fallocate })
    expect(await holes.punch(0, 2 * GiB)).toEqual({ start: 0, end: GiB })
    expect(await holes.punch(0, 10)).toEqual({ start: 0, end: 10 })
  })
})

describe('finding data', () => {
  test('in a hole, in data, between two runs, at the end', async () => {
    const lseek = fileOf(1000, [
      [100, 200],
      [300, 400],
    ])
    const holes = holesWith({ lseek })
    expect(await holes.nextData(0, 1000)).toEqual({ start: 100, end: 200 })
    expect(await holes.nextData(100, 1000)).toEqual({ start: 100, end: 200 })
    expect(await holes.nextData(150, 1000)).toEqual({ start: 150, end: 200 })
    expect(await holes.nextData(200, 1000)).toEqual({ start: 300, end: 400 })
    expect(await holes.nextData(400, 1000)).toBeNull()
  })

  test('no further than asked', async () => {
    const holes = holesWith({ lseek: fileOf(1000, [[100, 1000]]) })
    expect(await holes.nextData(0, 100)).toBeNull()
    expect(await holes.nextData(0, 150)).toEqual({ start: 100, end: 150 })
    expect(await holes.nextData(120, 150)).toEqual({ start: 120, end: 150 })
  })

  test('everything is data where the file system cannot tell, and behind the end of a file that became shorter', async () => {
    expect(await holesWith({ lseek: () => Promise.resolve(-EINVAL) }).nextData(7, 90)).toEqual({ start: 7, end: 90 })
    expect(await holesWith({ lseek: fileOf(5, [[0, 5]]) }).nextData(7, 90)).toEqual({ start: 7, end: 90 })
  })

  test('answers that contradict each other count as data', async () => {
    const answers = [10, 10, 20, 20]
    const holes = holesWith({ lseek: () => Promise.resolve(answers.shift()!) })
    expect(await holes.nextData(10, 90)).toEqual({ start: 10, end: 90 })
    const zigzag = [10, 30, 30]
    expect(await holesWith({ lseek: () => Promise.resolve(zigzag.shift()!) }).nextData(10, 90)).toEqual({ start: 30, end: 90 })
  })
})

describe.runIf(process.platform === 'linux')('on this computer', () => {
  test.each([true, false])('punches and finds (asked at once: %s)', async (allowed) => {
    const path = join(await tempFolder(), 'a.img')
    const file = await open(path, 'w+')
    try {
      await file.write(new Uint8Array(4 * MiB).fill(1))
      await file.truncate(8 * MiB)
      const holes = await openHoles({ file, path, readOnly: false, seeks: { allows: () => allowed, run: (work) => work() } })
      expect(await holes.nextData(0, 8 * MiB)).toEqual({ start: 0, end: 4 * MiB })
      expect(await holes.punch(MiB, 3 * MiB)).toEqual({ start: MiB, end: 3 * MiB })
      expect(await holes.nextData(0, 8 * MiB)).toEqual({ start: 0, end: MiB })
      expect(await holes.nextData(MiB, 8 * MiB)).toEqual({ start: 3 * MiB, end: 4 * MiB })
      expect(await holes.nextData(4 * MiB, 8 * MiB)).toBeNull()
      expect((await file.stat()).blocks * 512).toBeLessThan(3 * MiB)
      await holes.close()
    } finally {
      await file.close()
    }
  })

  test('many at once: more than the native library takes', async () => {
    const path = join(await tempFolder(), 'a.img')
    const file = await open(path, 'w+')
    try {
      await file.truncate(MiB)
      const holes = await openHoles({ file, path, readOnly: false })
      const found = await Promise.all(Array.from({ length: 2000 }, (_, at) => holes.nextData(at, MiB)))
      expect(found.every((run) => run === null)).toBe(true)
    } finally {
      await file.close()
    }
  })
})
