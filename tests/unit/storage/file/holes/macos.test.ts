import type { FileHandle } from 'node:fs/promises'
import { constants } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import type koffi from 'koffi'
import { macCalls, macHoles, type MacCalls } from '../../../../../src-main/storage/file/holes/macos.ts'

const BLOCK = 4096
const MiB = 2 ** 20

function holesWith(punchHole: MacCalls['punchHole']) {
  return macHoles({ punchHole }, { file: { fd: 9 } as FileHandle, path: '/a.img', readOnly: false }, BLOCK)
}

test('punches whole blocks and says which', async () => {
  const punchHole = vi.fn<MacCalls['punchHole']>().mockReturnValue(0)
  expect(await holesWith(punchHole).punch(1, 3 * BLOCK + 1)).toEqual({ start: BLOCK, end: 3 * BLOCK })
  expect(punchHole.mock.calls).toEqual([[9, BLOCK, 2 * BLOCK]])
})

test('nothing without a whole block', async () => {
  const punchHole = vi.fn<MacCalls['punchHole']>()
  const holes = holesWith(punchHole)
  expect(await holes.punch(1, 2 * BLOCK - 1)).toBeNull()
  expect(await holes.punch(10, 20)).toBeNull()
  expect(punchHole).not.toHaveBeenCalled()
})

test('a long hole lets others run in between', async () => {
  const order: string[] = []
  const holes = holesWith((_fd, offset, length) => {
    order.push(`${offset / MiB}+${length / MiB}`)
    if (offset === 0) setImmediate(() => order.push('other'))
    return 0
  })
  expect(await holes.punch(0, 100 * MiB)).toEqual({ start: 0, end: 100 * MiB })
  expect(order).toEqual(['0+64', 'other', '64+36'])
})

test('a file system that cannot is asked once', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => log.mockRestore())
  const punchHole = vi.fn<MacCalls['punchHole']>().mockReturnValue(-constants.errno.ENOTSUP)
  const holes = holesWith(punchHole)
  expect(await holes.punch(0, BLOCK)).toBeNull()
  expect(await holes.punch(0, BLOCK)).toBeNull()
  expect(punchHole).toHaveBeenCalledTimes(1)
})

test('everything counts as data', async () => {
  expect(await holesWith(() => 0).nextData(3, 90)).toEqual({ start: 3, end: 90 })
})

test('fcntl gets fpunchhole_t', () => {
  const fcntl = vi.fn<(...args: unknown[]) => number>().mockReturnValueOnce(0).mockReturnValueOnce(-1)
  const library = { load: () => ({ func: () => fcntl }), errno: () => 45 } as unknown as typeof koffi
  const calls = macCalls(library)
  expect(calls.punchHole(9, 2 ** 40, BLOCK)).toBe(0)
  expect(calls.punchHole(9, 0, BLOCK)).toBe(-45)
  const [fd, command, type, bytes] = fcntl.mock.calls[0]!
  expect([fd, command, type]).toEqual([9, 99, 'void *'])
  const words = new BigUint64Array((bytes as Uint8Array).buffer)
  expect([...words]).toEqual([0n, 2n ** 40n, BigInt(BLOCK)])
})
